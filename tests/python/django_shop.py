"""Django through pgscrim: migrations and introspection as an exempt role, everyday ORM as a restricted one.

Environment: PROXY_PORT. Ends with `ok`.
"""

import io
import os
import sys

import django
from django.conf import settings

PORT = os.environ["PROXY_PORT"]


def database(user):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "django",
        "USER": user,
        "HOST": "127.0.0.1",
        "PORT": PORT,
        "OPTIONS": {"sslmode": "disable"},
    }


# The application `store` lies beside this file.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

settings.configure(
    DATABASES={"default": database("support"), "owner": database("owner")},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin", "django.contrib.sessions", "django.contrib.messages", "django.contrib.postgres", "store"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    SECRET_KEY="tests",
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import DatabaseError, IntegrityError, connection, connections, transaction  # noqa: E402
from django.contrib.admin.models import CHANGE, LogEntry  # noqa: E402
from django.contrib.auth import authenticate, get_user_model  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.contrib.postgres.aggregates import ArrayAgg, BoolOr, JSONBAgg, StringAgg  # noqa: E402
from django.contrib.postgres.expressions import ArraySubquery  # noqa: E402
from django.contrib.postgres.search import SearchHeadline, SearchQuery, SearchRank, SearchVector  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.db.models import Avg, Case, Count, Exists, F, Max, OuterRef, Prefetch, Q, Subquery, Sum, Value, When, Window  # noqa: E402
from django.db.models.functions import Coalesce, Concat, JSONObject, Lag, Length, Lower, Rank, RowNumber, TruncMonth, Upper  # noqa: E402

from store.models import Customer, Order, Parcel, Tag  # noqa: E402


def owner_part():
    call_command("migrate", database="owner", verbosity=0)
    out = io.StringIO()
    call_command("inspectdb", database="owner", stdout=out)
    text = out.getvalue()
    for word in ("class StoreCustomer(models.Model)", "phone = models.CharField(max_length=20", "class StoreOrder", "models.ForeignKey"):
        assert word in text, text
    call_command("migrate", "store", "zero", database="owner", verbosity=0)
    call_command("migrate", database="owner", verbosity=0)
    for n in range(1, 21):
        customer = Customer.objects.using("owner").create(
            full_name=f"Nguyen Van Khai{n}", phone=f"0901234{n:03}", email=f"khai{n}@gmail.com", city="Hue" if n % 2 else "Hanoi")
        for m in range(3):
            Order.objects.using("owner").create(customer=customer, amount=n * 10 + m)
    assert Customer.objects.using("owner").get(phone="0901234003").full_name == "Nguyen Van Khai3"
    with connections["owner"].cursor() as cursor:
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO support")
        cursor.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO support")


def masked(n):
    return "N*** K***", f"*****{n:03}"


def stored(pk):
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT full_name, phone, email, city FROM store_customer WHERE id = %s", [pk])
        return cursor.fetchone()


def reading():
    first = Customer.objects.order_by("id").first()
    assert (first.full_name, first.phone, first.email, first.city) == (*masked(1), None, "Hue"), vars(first)
    assert Customer.objects.count() == 20
    assert Customer.objects.filter(city="Hue").exists()
    assert [c.pk for c in Customer.objects.filter(Q(city="Hue") & ~Q(pk=1) | Q(pk=2)).order_by("pk")[:3]] == [2, 3, 5]
    assert list(Customer.objects.values_list("phone", flat=True).order_by("pk")[:2]) == ["*****001", "*****002"]
    assert list(Customer.objects.values("city").annotate(n=Count("id")).order_by("city")) == [{"city": "Hanoi", "n": 10}, {"city": "Hue", "n": 10}]
    assert list(Customer.objects.values_list("full_name", flat=True).distinct()) == ["N*** K***"]
    # GROUP BY the primary key with every column selected: the repair of design.
    rows = list(Customer.objects.annotate(orders_count=Count("orders"), total=Sum("orders__amount")).order_by("pk"))
    assert (rows[0].orders_count, rows[0].total, rows[0].phone) == (3, 33, "*****001")
    rows = list(Customer.objects.annotate(n=Count("orders")).filter(n__gt=2).order_by("-pk")[:2])
    assert [row.pk for row in rows] == [20, 19]
    order = Order.objects.select_related("customer").order_by("pk").first()
    assert order.customer.phone == "*****001"
    customers = list(Customer.objects.prefetch_related(Prefetch("orders", queryset=Order.objects.order_by("-amount"))).order_by("pk")[:3])
    assert [o.amount for o in customers[1].orders.all()] == [22, 21, 20]
    assert Customer.objects.aggregate(Max("phone"), Avg("orders__amount"))["phone__max"] == "*****020"
    assert Customer.objects.filter(phone="0901234005").get().pk == 5
    assert Customer.objects.filter(phone__in=["0901234005", "0901234006"]).count() == 2
    assert not Customer.objects.filter(full_name__icontains="Van").exists()
    assert Customer.objects.annotate(label=Concat(Upper("full_name"), Value(" "), "phone")).order_by("pk").first().label == "N*** K*** *****001"
    assert Customer.objects.annotate(size=Length("full_name"), low=Lower("city")).order_by("pk").values_list("size", "low")[0] == (9, "hue")
    newest = Order.objects.filter(customer=OuterRef("pk")).order_by("-amount")
    assert Customer.objects.annotate(top=Subquery(newest.values("amount")[:1])).get(pk=4).top == 42
    assert Customer.objects.filter(Exists(Order.objects.filter(customer=OuterRef("pk"), amount__gt=200))).count() == 1
    assert Order.objects.filter(customer__phone="0901234007").count() == 3
    assert Order.objects.filter(amount__gt=F("customer__id") * 10).count() == 40
    assert [c.pk for c in Customer.objects.order_by("city", "-pk")[:2]] == [20, 18]
    assert Customer.objects.in_bulk([1, 2])[2].phone == "*****002"
    assert len(list(Customer.objects.order_by("pk").iterator(chunk_size=7))) == 20
    union = Customer.objects.filter(pk=1).values_list("phone").union(Customer.objects.filter(pk=2).values_list("phone"))
    assert sorted(union) == [("*****001",), ("*****002",)]
    assert Customer.objects.only("phone").get(pk=3).phone == "*****003"
    assert Customer.objects.defer("email").get(pk=3).full_name == "N*** K***"
    assert list(Customer.objects.dates("created", "year"))[0].year >= 2025
    assert list(Customer.objects.raw("SELECT * FROM store_customer WHERE id = %s", [6]))[0].phone == "*****006"
    with connection.cursor() as cursor:
        cursor.execute("SELECT c.*, count(o.id) FROM store_customer c LEFT JOIN store_order o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id LIMIT 1")
        assert "*****001" in cursor.fetchone()
    assert Customer.objects.filter(tags__name="vip").count() == 0


def locking():
    with transaction.atomic():
        assert Customer.objects.select_for_update().get(pk=1).phone == "*****001"
        assert Customer.objects.select_for_update(skip_locked=True).filter(pk__lt=4).count() == 3
        assert len(Customer.objects.select_for_update(skip_locked=True).filter(pk__lt=4).order_by("pk")) == 3
        assert Customer.objects.select_for_update(no_key=True).get(pk=2).pk == 2
        assert len(Order.objects.select_related("customer").select_for_update(of=("self",), nowait=True).filter(customer_id=1)) == 3
        both = Order.objects.select_related("customer").select_for_update(of=("self", "customer"), nowait=True)
        assert len(both.filter(customer_id=1)) == 3


def writing():
    # save() writes back every column as it was read: the masks must not be stored.
    customer = Customer.objects.get(pk=8)
    customer.city = "Vinh"
    customer.save()
    assert stored(8) == ("Nguyen Van Khai8", "0901234008", "khai8@gmail.com", "Vinh"), stored(8)
    customer.phone = "0988888888"
    customer.save(update_fields=["phone"])
    assert stored(8)[1] == "0988888888"
    customer.refresh_from_db()
    assert customer.phone == "*****888"
    assert Customer.objects.filter(pk=8).update(city=Upper("city")) == 1
    assert stored(8)[3] == "VINH"
    created = Customer.objects.create(full_name="Tran Thi B", phone="0977777777", email="b@gmail.com", city="Hue")
    assert created.pk and stored(created.pk)[1] == "0977777777"
    many = Customer.objects.bulk_create([Customer(full_name=f"New N{n}", phone=f"096666660{n}", city="Hue") for n in range(5)])
    assert all(c.pk for c in many)
    assert stored(many[2].pk)[:2] == ("New N2", "0966666602")
    for c in many:
        c.city = "Quy Nhon"
    assert Customer.objects.bulk_update(many, ["city"]) == 5
    got, made = Customer.objects.get_or_create(phone="0977777777", defaults={"full_name": "nobody"})
    assert (got.pk, made) == (created.pk, False)
    got, made = Customer.objects.get_or_create(phone="0955555555", defaults={"full_name": "Le Van C", "city": "Hue"})
    assert made and stored(got.pk)[0] == "Le Van C"
    got, made = Customer.objects.update_or_create(phone="0955555555", defaults={"city": "Hanoi"})
    assert not made and stored(got.pk) == ("Le Van C", "0955555555", None, "Hanoi"), stored(got.pk)
    tag = Tag.objects.create(name="vip")
    created.tags.add(tag)
    assert [c.pk for c in Customer.objects.filter(tags__name="vip")] == [created.pk]
    assert [t.name for t in created.tags.all()] == ["vip"]
    created.tags.clear()
    pks = [c.pk for c in many] + [got.pk]
    deleted, _ = Customer.objects.filter(pk__in=pks).delete()
    assert deleted == 6
    created.delete()
    Tag.objects.all().delete()


def analysing():
    ranked = Order.objects.annotate(place=Window(RowNumber(), partition_by="customer_id", order_by=F("amount").desc()))
    assert ranked.filter(place=1).count() == 20
    running = Order.objects.annotate(before=Window(Lag("amount"), order_by="pk"), rank=Window(Rank(), order_by="customer__phone")).order_by("pk")
    assert [(o.before, o.rank) for o in running[:4]] == [(None, 1), (10, 1), (11, 1), (12, 4)]
    totals = Customer.objects.aggregate(hue=Count("id", filter=Q(city="Hue")), any=BoolOr(Q(city="nowhere")), phones=ArrayAgg("phone", order_by="id"), names=StringAgg("full_name", delimiter=Value(";"), distinct=True, default=Value("")), all=JSONBAgg("city", distinct=True))
    assert (totals["hue"], totals["any"], totals["names"]) == (10, False, "N*** K***"), totals
    assert totals["phones"][0] == "*****001" and len(totals["phones"]) == 20
    shown = Customer.objects.annotate(o=JSONObject(name="full_name", tel="phone"), kind=Case(When(city="Hue", then=Value("h")), default=Value("o"))).order_by("pk")
    assert (shown[0].o, shown[0].kind) == ({"name": "N*** K***", "tel": "*****001"}, "h")
    amounts = ArraySubquery(Order.objects.filter(customer=OuterRef("pk")).order_by("amount").values("amount"))
    assert Customer.objects.annotate(amounts=amounts).get(pk=2).amounts == [20, 21, 22]
    monthly = Customer.objects.annotate(month=TruncMonth("created")).values("month").annotate(n=Count("*"), orders=Sum("orders__amount")).order_by("month")
    assert sum(row["orders"] for row in monthly) > 0
    # Whatever the case: an exact search too.
    assert Customer.objects.filter(phone__iexact="0901234005").get().pk == 5
    assert Customer.objects.filter(full_name__iregex="khai").count() == 0 and Customer.objects.filter(phone__endswith="001").count() == 1
    assert Customer.objects.annotate(shown=Coalesce("email", Value("none"))).first().shown == "none"
    assert Customer.objects.filter(Q(city="Hue") ^ Q(pk=1)).count() == 9
    assert list(Customer.objects.exclude(orders__amount__gt=20).values_list("pk", flat=True)) == [1]
    assert Customer.objects.filter(pk__in=Order.objects.filter(amount__gt=200).values("customer_id")).count() == 1
    both = Customer.objects.filter(pk__lt=5).difference(Customer.objects.filter(pk__lt=3))
    assert len(both) == 2 and len(Customer.objects.filter(pk__lt=5).intersection(Customer.objects.filter(pk__lt=3))) == 2
    with transaction.atomic():
        streamed = Customer.objects.order_by("pk").prefetch_related("orders").iterator(chunk_size=6)
        assert [(c.phone, len(c.orders.all())) for c in streamed][19] == ("*****020", 3)
        locked = Order.objects.select_related("customer").select_for_update(of=("self",), skip_locked=True, no_key=True)
        assert locked.filter(customer_id=3).first().customer.phone == "*****003"


def postgresql():
    made = Parcel.objects.bulk_create([Parcel(code=f"p{n}", customer_id=n, data={"size": n, "to": {"city": "Hue"}}, labels=["fragile"] * (n % 2) + ["new"], weight=n) for n in range(1, 6)])
    assert all(parcel.pk for parcel in made)
    again = Parcel.objects.bulk_create([Parcel(code="p1", weight=9), Parcel(code="p6", weight=6)], update_conflicts=True, unique_fields=["code"], update_fields=["weight"])
    assert [parcel.pk for parcel in again][0] == made[0].pk and Parcel.objects.get(code="p1").weight == 9
    assert len(Parcel.objects.bulk_create([Parcel(code="p1")], ignore_conflicts=True)) == 1
    assert Parcel.objects.filter(data__size__gte=3, data__to__city="Hue").count() == 3
    assert Parcel.objects.filter(data__has_key="size").count() == 5 and Parcel.objects.filter(data__contains={"to": {"city": "Hue"}}).count() == 5
    assert Parcel.objects.filter(labels__contains=["fragile"]).count() == 3 and Parcel.objects.filter(labels__overlap=["new"]).count() == 5
    assert Parcel.objects.filter(labels__len=2, labels__0="fragile").count() == 3
    assert Parcel.objects.values_list("data__to__city", flat=True).distinct().count() == 2
    Parcel.objects.update(words=SearchVector("code", config="simple"))
    found = Parcel.objects.annotate(rank=SearchRank(F("words"), SearchQuery("p3", config="simple"))).filter(words=SearchQuery("p3", config="simple"))
    assert [parcel.code for parcel in found] == ["p3"]
    # The full text of a masked column is that of its masks.
    assert Customer.objects.annotate(search=SearchVector("full_name", config="simple")).filter(search=SearchQuery("nguyen", config="simple")).count() == 0
    assert Customer.objects.annotate(head=SearchHeadline("full_name", SearchQuery("k", config="simple"))).order_by("pk").first().head.count("***") == 2
    Parcel.objects.filter(code="p2").update(data={"size": 0}, weight=F("weight") + 1, labels=["x"])
    assert Parcel.objects.get(code="p2").data == {"size": 0}
    got, new = Parcel.objects.update_or_create(code="p2", defaults={"weight": 1}, create_defaults={"weight": 2})
    assert (got.weight, new) == (1, False)
    assert Parcel.objects.select_related("customer").get(code="p4").customer.phone == "*****004"
    assert Parcel.objects.all().delete()[0] == 6


def accounts():
    user = get_user_model().objects.create_user("hoa", "hoa@gmail.com", "secret-pass-1")
    assert authenticate(username="hoa", password="secret-pass-1") == user
    assert user.has_perm("store.view_customer") is False and user.get_all_permissions() == set()
    LogEntry.objects.log_actions(user.pk, Customer.objects.filter(pk=1), CHANGE, change_message=[{"changed": {"fields": ["phone"]}}])
    entry = LogEntry.objects.select_related("content_type", "user").get()
    assert entry.content_type == ContentType.objects.get_for_model(Customer) and entry.user.username == "hoa"
    session = SessionStore()
    session["cart"] = [1, 2]
    session.save()
    assert SessionStore(session.session_key)["cart"] == [1, 2]
    session.delete()
    entry.delete()
    user.delete()


def transactions():
    with transaction.atomic():
        Order.objects.filter(pk=1).update(amount=1)
        try:
            with transaction.atomic():
                Order.objects.create(customer_id=999999, amount=1)
                connection.check_constraints()
        except IntegrityError as error:
            assert "999999" not in str(error), error
        assert Order.objects.get(pk=1).amount == 1
        transaction.set_rollback(True)
    assert Order.objects.get(pk=1).amount == 10
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_read_file('PG_VERSION')")
    except DatabaseError as error:
        assert "PGS0203" in str(error), error
    else:
        raise AssertionError("not refused")
    assert Customer.objects.count() == 20


def introspection():
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        assert "store_customer" in names
        columns = connection.introspection.get_table_description(cursor, "store_customer")
        assert [c.name for c in columns][:3] == ["id", "full_name", "phone"], columns
        assert connection.introspection.get_relations(cursor, "store_order")
        assert connection.introspection.get_constraints(cursor, "store_order")
        assert connection.introspection.get_sequences(cursor, "store_customer")
        assert connection.introspection.get_primary_key_column(cursor, "store_customer") == "id"
    out = io.StringIO()
    call_command("inspectdb", stdout=out)
    assert "class StoreCustomer" in out.getvalue()
    assert connection.pg_version >= 120000


if sys.argv[1] == "owner":
    owner_part()
else:
    for part in (introspection, reading, locking, writing, analysing, postgresql, accounts, transactions):
        part()
print("ok")
