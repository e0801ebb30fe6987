"""django-oscar, a complete shop, through pgscrim.

    oscar_shop.py fill                    makes the tables and an invented stock, customers and orders (as an exempt role)
    oscar_shop.py walk storefront REPORT  a visitor and a customer: catalogue, basket, checkout, account
    oscar_shop.py walk staff REPORT       the shop's dashboard and the Django admin

The walk follows links and sends the forms that it finds, filled as they came: forms that show masked values write masked
values back. It counts the distinct statements that the shop sends, and those that were refused, and writes them to REPORT
as JSON, with what the shop itself raised. Environment: PROXY_PORT, ROLE, DATABASE, EACH (pages of a kind; 3).
"""

import collections
import json
import logging
import os
import re
import sys
import tempfile
import warnings

import django
from django.conf import settings
from oscar.defaults import *  # noqa: F403

warnings.simplefilter("ignore")
logging.disable()
MEDIA = tempfile.mkdtemp(prefix="oscar-media-")

OSCAR_APPS = """oscar.config.Shop oscar.apps.analytics.apps.AnalyticsConfig oscar.apps.checkout.apps.CheckoutConfig
oscar.apps.address.apps.AddressConfig oscar.apps.shipping.apps.ShippingConfig oscar.apps.catalogue.apps.CatalogueConfig
oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig oscar.apps.communication.apps.CommunicationConfig
oscar.apps.partner.apps.PartnerConfig oscar.apps.basket.apps.BasketConfig oscar.apps.payment.apps.PaymentConfig
oscar.apps.offer.apps.OfferConfig oscar.apps.order.apps.OrderConfig oscar.apps.customer.apps.CustomerConfig
oscar.apps.search.apps.SearchConfig oscar.apps.voucher.apps.VoucherConfig oscar.apps.wishlists.apps.WishlistsConfig
oscar.apps.dashboard.apps.DashboardConfig oscar.apps.dashboard.reports.apps.ReportsDashboardConfig
oscar.apps.dashboard.users.apps.UsersDashboardConfig oscar.apps.dashboard.orders.apps.OrdersDashboardConfig
oscar.apps.dashboard.catalogue.apps.CatalogueDashboardConfig oscar.apps.dashboard.offers.apps.OffersDashboardConfig
oscar.apps.dashboard.partners.apps.PartnersDashboardConfig oscar.apps.dashboard.pages.apps.PagesDashboardConfig
oscar.apps.dashboard.ranges.apps.RangesDashboardConfig oscar.apps.dashboard.reviews.apps.ReviewsDashboardConfig
oscar.apps.dashboard.vouchers.apps.VouchersDashboardConfig
oscar.apps.dashboard.communications.apps.CommunicationsDashboardConfig
oscar.apps.dashboard.shipping.apps.ShippingDashboardConfig""".split()

settings.configure(
    **{name: value for name, value in globals().items() if name.startswith("OSCAR_")}
    | {
        "OSCAR_ALLOW_ANON_CHECKOUT": True,
        "OSCAR_INITIAL_ORDER_STATUS": "Pending",
        "OSCAR_INITIAL_LINE_STATUS": "Pending",
        "OSCAR_ORDER_STATUS_PIPELINE": {"Pending": ("Being processed", "Cancelled"), "Being processed": ("Complete", "Cancelled"), "Cancelled": (), "Complete": ()},
        "OSCAR_LINE_STATUS_PIPELINE": {"Pending": ("Being processed", "Cancelled"), "Being processed": ("Complete",), "Cancelled": (), "Complete": ()},
    },
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ.get("DATABASE", "oscar"),
            "USER": os.environ["ROLE"],
            "HOST": "127.0.0.1",
            "PORT": os.environ["PROXY_PORT"],
            "ATOMIC_REQUESTS": True,
            "OPTIONS": {"sslmode": "disable"},
        }
    },
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages",
                    "django.contrib.sites", "django.contrib.staticfiles", "django.contrib.flatpages", *OSCAR_APPS, "widget_tweaks", "haystack", "treebeard", "sorl.thumbnail", "django_tables2"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware", "oscar.apps.basket.middleware.BasketMiddleware", "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware"],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
        "OPTIONS": {"context_processors": [
            "django.contrib.auth.context_processors.auth", "django.template.context_processors.request", "django.template.context_processors.i18n", "django.contrib.messages.context_processors.messages",
            "oscar.apps.search.context_processors.search_form", "oscar.apps.checkout.context_processors.checkout", "oscar.apps.communication.notifications.context_processors.notifications", "oscar.core.context_processors.metadata"]},
    }],
    AUTHENTICATION_BACKENDS=("oscar.apps.customer.auth_backends.EmailBackend", "django.contrib.auth.backends.ModelBackend"),
    HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    ROOT_URLCONF=__name__,
    SITE_ID=1,
    SECRET_KEY="tests",
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    STATIC_URL="/static/",
    MEDIA_ROOT=MEDIA,
    MEDIA_URL="/media/",
    USE_TZ=True,
    LOGGING_CONFIG=None,
    THUMBNAIL_KVSTORE="sorl.thumbnail.kvstores.cached_db_kvstore.KVStore",
)
django.setup()

from django.apps import apps  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.urls import include, path, resolve, reverse  # noqa: E402

urlpatterns = [path("admin/", admin.site.urls), path("i18n/", include("django.conf.urls.i18n")), path("", include(apps.get_app_config("oscar").urls[0]))]


def fill():
    from django.contrib.auth import get_user_model
    from django.contrib.flatpages.models import FlatPage
    from django.contrib.sites.models import Site
    from oscar.core.loading import get_model
    from oscar.test import factories
    from oscar.test.basket import add_product

    call_command("migrate", verbosity=0)
    call_command("oscar_populate_countries", verbosity=0)
    Site.objects.update_or_create(pk=1, defaults={"domain": "shop.example", "name": "shop"})
    country = get_model("address", "Country").objects.get(iso_3166_1_a2="VN")
    users = get_user_model().objects
    staff = users.create_superuser("staff", "staff@shop.example", "secret-pass-1", first_name="Tran", last_name="Thi Hoa")
    people = [users.create_user(f"khai{n}", f"khai{n}@gmail.com", "secret-pass-1", first_name="Nguyen", last_name=f"Minh Khai{n}") for n in range(1, 9)]
    phone = "+8490123400{}"
    for n, person in enumerate(people, 1):
        for m in (1, 2):
            get_model("address", "UserAddress").objects.create(user=person, title="Mr", first_name=person.first_name, last_name=person.last_name, line1=f"{n} Le Loi", line2=f"Ward {m}", line4="Da Nang", state="Quang Nam", postcode="550000",
                                                              country=country, phone_number=phone.format(n), notes="call first", is_default_for_shipping=m == 1, is_default_for_billing=m == 1)
    partner = factories.PartnerFactory(name="Depot", users=[staff])
    get_model("partner", "PartnerAddress").objects.create(partner=partner, line1="1 Kho", line4="Hue", postcode="530000", country=country)
    kind = factories.ProductClassFactory(name="Book", requires_shipping=True, track_stock=True)
    kind.options.add(factories.OptionFactory(name="Gift note", code="note", type="text", required=False))
    for code, attribute in (("pages", "integer"), ("binding", "text"), ("weight", "float")):
        factories.ProductAttributeFactory(product_class=kind, name=code, code=code, type=attribute, required=False)
    root = [get_model("catalogue", "Category").add_root(name=name, description=name) for name in ("Fiction", "Science")]
    leaf = [category.add_child(name=f"{category.name} {m}", description="x") for category in root for m in (1, 2)]
    products = []
    for n in range(1, 13):
        product = factories.create_product(upc=f"upc{n}", title=f"Book {n}", product_class=kind.name, partner_name="Depot", price=10 + n, num_in_stock=50 if n % 4 else 1, partner_users=[staff])
        product.categories.add(leaf[n % 4])
        product.attr.pages, product.attr.binding = n * 10, "paper"
        product.save()
        products.append(product)
    parent = factories.create_product(upc="parent", title="Parent", product_class=kind.name, structure="parent")
    for m in (1, 2):
        factories.create_product(upc=f"child{m}", title=f"Child {m}", structure="child", parent=parent, price=5, num_in_stock=9, partner_name="Depot")
    products[0].recommended_products.add(products[1])
    factories.create_product_image(product=products[0])
    ranged = factories.RangeFactory(name="All books", products=products[:6], is_public=True)
    factories.ConditionalOfferFactory(name="Ten off", condition=factories.ConditionFactory(range=ranged, value=1), benefit=factories.BenefitFactory(range=ranged, value=10))
    voucher = factories.VoucherFactory(code="WELCOME", name="Welcome", usage="Multi-use")
    voucher.offers.add(factories.ConditionalOfferFactory(name="Voucher offer", offer_type="Voucher", condition=factories.ConditionFactory(range=ranged, value=1), benefit=factories.BenefitFactory(range=ranged, value=5)))
    factories.VoucherSetFactory(name="Set", count=3)
    method = get_model("shipping", "WeightBased").objects.create(name="By weight", code="weight", default_weight=1)
    method.countries.add(country)
    get_model("shipping", "WeightBand").objects.create(method=method, upper_limit=5, charge=4)
    for code in ("Dispatched", "Delivered"):
        get_model("order", "ShippingEventType").objects.create(name=code)
        get_model("order", "PaymentEventType").objects.create(name=code)
    source_type = get_model("payment", "SourceType").objects.create(name="Card")
    for code in ("REGISTRATION", "ORDER_PLACED", "PASSWORD_RESET"):
        get_model("communication", "CommunicationEventType").objects.create(code=code, name=code, email_subject_template="Hello", email_body_template="Hello")
    for n, person in enumerate(people, 1):
        address = person.addresses.first()
        basket = factories.BasketFactory(owner=person)
        add_product(basket, product=products[n])
        add_product(basket, product=products[n % 6])
        fields = {"first_name": address.first_name, "last_name": address.last_name, "line1": address.line1, "line4": address.line4, "postcode": address.postcode, "country": country}
        order = factories.create_order(number=f"A{n}", user=person, basket=basket, shipping_address=get_model("order", "ShippingAddress").objects.create(phone_number=phone.format(n), notes="gate", **fields))
        order.billing_address = get_model("order", "BillingAddress").objects.create(**fields)
        order.save()
        order.notes.create(user=staff, message=f"called {phone.format(n)}", note_type="Info")
        source = order.sources.create(source_type=source_type, amount_allocated=order.total_incl_tax, reference="ref", label="**** 1111")
        source.transactions.create(txn_type="Debit", amount=order.total_incl_tax, reference="t", status="ok")
        get_model("reviews", "ProductReview").objects.create(product=products[n], user=person, title="Fine", body="Good book", score=4)
        get_model("payment", "Bankcard").objects.create(user=person, number="4111111111111111", name="KHAI", expiry_date="2030-01-01")
        wishlist = person.wishlists.create(name=f"List {n}")
        wishlist.add(products[n])
        get_model("customer", "ProductAlert").objects.create(product=products[4], user=person, status="Active")
        get_model("communication", "Notification").objects.create(recipient=person, subject="Welcome", body="Hello")
        get_model("communication", "Email").objects.create(user=person, email=person.email, subject="Order", body_text="Thanks")
        get_model("analytics", "UserRecord").objects.get_or_create(user=person)
    page = FlatPage.objects.create(url="/about/", title="About", content="We sell books")
    page.sites.add(1)
    with connection.cursor() as cursor:
        cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO storefront, support")
        cursor.execute("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO storefront, support")


class Statements:
    """Every statement that the shop sends, with its placeholders and without lengths of lists."""

    def __init__(self):
        self.counted = collections.Counter()
        self.refused = {}
        self.failed = {}

    def __call__(self, execute, sql, params, many, context):
        shape = re.sub(r"(%s)(, %s)+", r"%s, ...", sql)
        shape = re.sub(r"(\(%s, \.\.\.\))(, \(%s, \.\.\.\))+", r"\1, ...", shape)
        shape = re.sub(r'"(s\d+_x\d+)"', '"s"', shape)
        shape = re.sub(r"\b(\d+)\b", "0", shape)
        self.counted[shape] += 1
        try:
            return execute(sql, params, many, context)
        except Exception as error:
            diagnosis = getattr(error.__cause__, "diag", None)
            hint = (diagnosis.message_hint or "") if diagnosis else ""
            if hint.startswith("PGS"):
                self.refused.setdefault(shape, f"{diagnosis.sqlstate} {diagnosis.message_primary} [{hint}]")
            elif diagnosis and diagnosis.sqlstate != "25P02":
                self.failed.setdefault(shape, f"{diagnosis.sqlstate} {diagnosis.message_primary}")
            raise


class Walk:
    """Follows links and sends forms, each kind a few times."""

    def __init__(self, app, statements, who):
        self.app, self.statements, self.who = app, statements, who
        self.seen, self.kinds, self.forms = set(), collections.Counter(), collections.Counter()
        self.pages, self.errors = collections.Counter(), []

    def kind(self, url):
        try:
            return resolve(url.split("?")[0]).view_name + ("?" if "?" in url else "")
        except Exception:
            return None

    def get(self, url, send=None):
        before = len(self.statements.refused), len(self.statements.failed)
        try:
            response = send() if send else self.app.get(url, expect_errors=True)
            for _ in range(5):
                if not 300 <= response.status_code < 400:
                    break
                response = response.follow(expect_errors=True)
            status = response.status_code
        except Exception as error:
            response, status = None, f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
        self.pages[status] += 1
        if not isinstance(status, int) or status >= 500 or before != (len(self.statements.refused), len(self.statements.failed)):
            self.errors.append(f"{self.who} {'POST' if send else 'GET'} {url}: {status}")
        return response

    def fill(self, form, word):
        for name, fields in form.fields.items():
            for field in fields:
                if not name or type(field).__name__ in ("Hidden", "Submit", "File"):
                    continue
                if type(field).__name__ in ("Text", "Textarea", "Email") and not field.value:
                    lower = name.lower()
                    if "email" in lower:
                        field.value = f"{word}@gmail.com"
                    elif "phone" in lower:
                        field.value = "+84901234001"
                    elif "date" in lower:
                        field.value = "2025-06-01"
                    elif any(part in lower for part in ("quantity", "price", "value", "num", "stock", "count", "amount", "charge", "limit", "priority", "score", "id_", "weight", "pages")):
                        field.value = "1"
                    elif "postcode" in lower:
                        field.value = "550000"
                    elif "password" not in lower:
                        field.value = word
                if type(field).__name__ == "Select" and not field.value:
                    options = [value for value, _, _ in field.options if value]
                    if options:
                        field.value = options[0]

    def links(self, response):
        for link in response.html.find_all("a", href=True):
            url = link["href"]
            if url.startswith("/") and "logout" not in url and "setlang" not in url and not url.startswith(("/media", "/static")):
                yield url.split("#")[0]

    def run(self, starts, each=int(os.environ.get("EACH", "3"))):
        todo = collections.deque(starts)
        while todo:
            url = todo.popleft()
            kind = self.kind(url)
            if kind is None or url in self.seen or self.kinds[kind] >= each:
                continue
            self.seen.add(url)
            self.kinds[kind] += 1
            response = self.get(url)
            if response is None or response.status_code != 200 or "html" not in response.content_type:
                continue
            todo.extend(self.links(response))
            for number in list(response.forms):
                if not isinstance(number, int):
                    continue
                form = response.forms[number]
                action = (form.action or url).split("?")[0]
                action = action if action.startswith("/") else url.split("?")[0]
                if form.method.upper() == "POST" and LEAVE.search(action):
                    continue
                # As it came, then with every field filled. What deletes comes late, so that there is something to see.
                key = (self.kind(action), tuple(sorted(name for name in form.fields if name)))
                if self.forms[key] >= 2 or ("delete" in action and self.forms[key] >= 1):
                    continue
                self.forms[key] += 1
                words = ("", f"word{sum(self.forms.values())}") if form.method.upper() == "GET" or self.forms[key] == 1 else (f"word{sum(self.forms.values())}",)
                for word in words:
                    if word:
                        self.fill(form, word)
                    buttons = [(name, field) for name, fields in form.fields.items() for field in fields if type(field).__name__ == "Submit" and name]
                    for name, field in buttons[:3] or [(None, None)]:
                        def send(form=form, name=name, field=field):
                            if name is None:
                                return form.submit(expect_errors=True)
                            return form.submit(name, value=field._value, expect_errors=True)
                        answer = self.get(f"{url} -> {action}", send)
                        if answer is not None and answer.status_code == 200 and "html" in answer.content_type:
                            todo.extend(self.links(answer))


# What would log the one who walks out, or take the account away.
LEAVE = re.compile(r"logout|setlang|profile/(edit|delete)|change-password|password_change|auth/user/\d+/(password|delete|change)|auth/user/$|dashboard/users/")


def login(app, email):
    form = next(form for form in app.get(reverse("customer:login")).forms.values() if "login-username" in form.fields)
    form["login-username"], form["login-password"] = email, "secret-pass-1"
    return form.submit("login_submit", value="Log In", expect_errors=True)


def checkout(walk):
    """Basket, voucher, address, shipping, payment, thanks."""
    app = walk.app

    def send(response, marker, **values):
        for form in response.forms.values():
            if marker in form.fields or marker in (form.action or ""):
                for name, value in values.items():
                    form[name].force_value(value) if name in form.fields else None
                return walk.get(f"checkout {marker}", lambda: form.submit(expect_errors=True))
        walk.errors.append(f"checkout: no form {marker}")
        return response

    from oscar.core.loading import get_model
    product = get_model("catalogue", "Product").objects.filter(structure="standalone").order_by("id")[2]
    page = walk.get(product.get_absolute_url())
    send(page, "quantity", quantity="1")
    basket = walk.get(reverse("basket:summary"))
    send(basket, "vouchers", code="WELCOME")
    page = walk.get(reverse("checkout:index"))
    if page is not None and any("username" in form.fields for form in page.forms.values()):
        page = send(page, "username", username="guest@gmail.com", options="anonymous")
    page = walk.get(reverse("checkout:shipping-address"))
    page = send(page, "first_name", first_name="Le", last_name="Van C", line1="5 Hai Ba Trung", line4="Hanoi", postcode="100000", country="VN", phone_number="+84901234567")
    page = walk.get(reverse("checkout:shipping-method"))
    walk.get(reverse("checkout:payment-method"))
    page = walk.get(reverse("checkout:payment-details"))
    page = walk.get(reverse("checkout:preview"))
    page = send(page, "action") if page is not None and page.status_code == 200 else page
    done = page is not None and page.status_code == 200 and "thank-you" in page.request.path
    if not done:
        walk.errors.append(f"{walk.who}: the order was not placed: {page.request.path if page is not None else page}")


def walk(part, report):
    from django.core.signals import got_request_exception
    from django_webtest import DjangoTestApp

    statements = Statements()
    raised = collections.Counter()

    def note(sender, request, **_):
        error = sys.exc_info()[1]
        raised[f"{type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''} ({resolve(request.path).view_name})"] += 1

    got_request_exception.connect(note)
    logins, pages, errors = {}, collections.Counter(), []
    with connection.execute_wrapper(statements):
        people = {"storefront": [("visitor", None), ("customer", "khai1@gmail.com")], "staff": [("staff", "staff@shop.example")]}
        for who, email in people[part]:
            app = DjangoTestApp()
            here = Walk(app, statements, who)
            if email:
                answer = here.get("login", lambda: login(app, email))
                logins[who] = "_auth_user_id" in app.session
            if part == "storefront":
                checkout(here)
            starts = ["/", "/catalogue/", "/basket/", "/accounts/profile/", "/accounts/orders/", "/accounts/addresses/", "/search/?q=book", "/offers/", "/accounts/register/", "/password-reset/", "/about/"]
            if who == "staff":
                starts = ["/dashboard/", "/admin/", *starts]
                for model in admin.site._registry:
                    base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
                    first = model._default_manager.order_by("pk").values_list("pk", flat=True).first()
                    starts += [reverse(f"{base}_changelist"), reverse(f"{base}_changelist") + "?q=khai", reverse(f"{base}_add")]
                    if first is not None:
                        starts += [reverse(f"{base}_change", args=[first]), reverse(f"{base}_history", args=[first]), reverse(f"{base}_delete", args=[first])]
            here.run(starts)
            pages.update(here.pages)
            errors += here.errors
        for command in () if part == "storefront" else ("oscar_cleanup_alerts", "oscar_calculate_scores", "oscar_update_product_ratings", "oscar_find_duplicate_emails", "oscar_send_alerts", "clearsessions"):
            try:
                call_command(command, stdout=open(os.devnull, "w"), verbosity=0)
            except Exception as error:
                errors.append(f"{command}: {type(error).__name__} {str(error)[:120]}")
    found = {
        "statements": sum(statements.counted.values()),
        "distinct": len(statements.counted),
        "refused": statements.refused,
        "failed": statements.failed,
        "logins": logins,
        "pages": {str(status): number for status, number in pages.most_common()},
        "raised": dict(raised.most_common()),
        "errors": errors,
        "shapes": sorted(statements.counted),
    }
    with open(report, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    print(json.dumps({name: value if name in ("statements", "distinct", "logins", "pages") else len(value) for name, value in found.items()}))


if sys.argv[1] == "fill":
    fill()
    print("ok")
else:
    walk(sys.argv[2], sys.argv[3])
