import { defineConfig } from "prisma/config";

// No connection is made: the client is only generated.
export default defineConfig({ schema: "prisma/schema.prisma", datasource: { url: "postgresql://nobody@127.0.0.1/none" } });
