// Medusa with its default modules and no admin pages; DATABASE_URL says whether it talks to pgscrim or straight to the server.
// The secrets are constants, so that tokens outlive a restart between two walks.
const { defineConfig } = require("@medusajs/framework/utils");

module.exports = defineConfig({
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { ssl: false, connection: { ssl: false } },
    http: { storeCors: "*", adminCors: "*", authCors: "*", jwtSecret: "tests", cookieSecret: "tests" },
  },
  admin: { disable: true },
});
