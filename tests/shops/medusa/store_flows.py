"""Flows of visitors and customers: browsing, accounts, carts and checkouts, their orders.

In: a client with the ids of setup_flows.py. Out: customers `customer1` and `customer2`, orders `order1` to `order6` in
`client.ids`.
"""

from client import pick

HOME = {
    "first_name": "Nguyễn Thị",
    "last_name": "Minh Khai",
    "address_1": "12 Lê Lợi",
    "address_2": "Phường Bến Thành",
    "city": "Hồ Chí Minh",
    "province": "79",
    "postal_code": "700000",
    "country_code": "vn",
    "phone": "+84901234567",
    "company": "Công ty A",
}
OFFICE = HOME | {
    "first_name": "Trần",
    "last_name": "Bình",
    "address_1": "5 Tràng Tiền",
    "city": "Hà Nội",
    "phone": "0912345678",
}
PRICES = "&fields=*variants.calculated_price,+variants.inventory_quantity,*variants.images,+metadata,+tags"


def store(client):
    for flow in (lists, search, account, addresses, mistakes, checkouts, small_cart, orders, second_customer):
        flow(client)


def lists(client):
    client.flow = "browse"
    region = client.ids["region"]
    for page in ("regions", f"regions/{region}", "currencies", "collections"):
        client.store("GET", f"/store/{page}")
    client.store("GET", "/store/product-categories?include_descendants_tree=true&parent_category_id=null")
    for page in ("product-categories?q=thun", "product-tags", "product-types", "return-reasons"):
        client.store("GET", f"/store/{page}")


def search(client):
    client.flow = "browse"
    ids, region = client.ids, client.ids["region"]
    filters = f"collection_id[]={ids['collection']}&category_id[]={ids['category2']}&tag_id[]={ids['tag']}"
    for query in (
        f"?limit=12&region_id={region}{PRICES}",
        f"?q=thun&order=-created_at&region_id={region}",
        f"?{filters}&limit=2&offset=1",
        f"?handle=ao-1&region_id={region}{PRICES}",
        f"/{pick(ids['products'], 0)}?region_id={region}{PRICES}",
        "?variants[options][value]=S&order=title",
    ):
        client.store("GET", f"/store/products{query}")
    client.store("GET", f"/store/product-variants?region_id={region}")
    client.store("GET", f"/store/collections/{ids['collection']}")
    client.store("GET", f"/store/product-categories/{ids['category']}")


def register(client, email, first, last, phone):
    client.customer = {}
    answer = client.store("POST", "/auth/customer/emailpass/register", {"email": email, "password": "Matkhau1!"})
    client.customer = {"authorization": f"Bearer {pick(answer, 'token')}"}
    person = {"email": email, "first_name": first, "last_name": last, "phone": phone, "company_name": "Cty"}
    made = client.store("POST", "/store/customers", person)
    client.login_customer(email)
    return pick(made, "customer", "id")


def account(client):
    client.flow = "account"
    client.ids["customer1"] = register(client, "khai@example.vn", "Minh Khai", "Nguyễn Thị", "0901234567")
    client.store("GET", "/store/customers/me?fields=*addresses")
    client.store("POST", "/store/customers/me", {"phone": "+84 901 234 567", "metadata": {"sinh": "1990-05-17"}})


def addresses(client):
    path = "/store/customers/me/addresses"
    home = HOME | {"is_default_shipping": True, "is_default_billing": True, "address_name": "Nhà"}
    made = pick(client.store("POST", path, home), "customer", "addresses", 0, "id")
    client.store("POST", path, OFFICE | {"address_name": "Cơ quan"})
    client.store("GET", f"{path}?limit=10")
    client.store("GET", f"{path}/{made}")
    client.store("POST", f"{path}/{made}", {"address_2": "Phường 1"})


def mistakes(client):
    """A wrong password, one forgotten, and an account that exists."""
    path = "/auth/customer/emailpass"
    client.request("POST", path, {"email": "khai@example.vn", "password": "sai"})
    client.request("POST", f"{path}/reset-password", {"identifier": "khai@example.vn"})
    client.request("POST", f"{path}/register", {"email": "khai@example.vn", "password": "Matkhau1!"})


def checkouts(client):
    client.flow = "checkout"
    ids, khai = client.ids, "khai@example.vn"
    ids["order1"] = checkout(client, khai, codes=["TET10", "SHIP"])
    ids["order2"] = checkout(client, khai, OFFICE, quantity=5, first=3)
    ids["order3"] = checkout(client, "khach@example.vn", guest=True, first=6)
    ids["order4"] = checkout(client, khai, first=2)
    ids["order5"] = checkout(client, khai, first=7)
    ids["order6"] = checkout(client, khai, first=8)


def checkout(client, email, address=HOME, quantity=2, codes=None, guest=False, first=0):
    """From an empty cart to an order: lines, codes, addresses, shipping, taxes, payment."""
    ids = client.ids

    def send(method, path, body=None):
        return client.store(method, path, body, guest)

    cart = {"region_id": ids["region"], "sales_channel_id": ids["channel"], "email": email}
    path = f"/store/carts/{pick(send('POST', '/store/carts', cart), 'cart', 'id')}"
    fill_cart(ids, send, path, quantity, first)
    if codes:
        send("POST", f"{path}/promotions", {"promo_codes": codes})
    send("GET", path)
    note = {"note": "giao giờ hành chính"}
    send("POST", path, {"email": email, "shipping_address": address, "billing_address": address, "metadata": note})
    send("GET", f"/store/shipping-options?cart_id={path.rsplit('/', 1)[1]}")
    send("POST", f"{path}/shipping-methods", {"option_id": ids["delivery"]})
    send("POST", f"{path}/taxes", {})
    pay(ids, send, path)
    return pick(send("POST", f"{path}/complete", {}), "order", "id")


def fill_cart(ids, send, path, quantity, first):
    gift = {"variant_id": pick(ids["variants"], first), "quantity": 1, "metadata": {"gift": True}}
    send("POST", f"{path}/line-items", gift)
    answer = send("POST", f"{path}/line-items", {"variant_id": pick(ids["variants"], first + 4), "quantity": quantity})
    lines = sorted(answer.get("cart", {}).get("items", []), key=lambda line: line["variant_sku"])
    send("POST", f"{path}/line-items/{pick(lines, 0, 'id')}", {"quantity": quantity + 1})


def pay(ids, send, path):
    answer = send("POST", "/store/payment-collections", {"cart_id": path.rsplit("/", 1)[1]})
    collection = pick(answer, "payment_collection", "id")
    send("GET", f"/store/payment-providers?region_id={ids['region']}")
    sessions = f"/store/payment-collections/{collection}/payment-sessions"
    send("POST", sessions, {"provider_id": "pp_system_default"})


def small_cart(client):
    """A guest's cart that a customer takes over, empties, and cannot complete."""
    ids = client.ids
    lines = [{"variant_id": pick(ids["variants"], 1), "quantity": 1}]
    answer = client.store("POST", "/store/carts", {"region_id": ids["region"], "items": lines}, guest=True)
    path = f"/store/carts/{pick(answer, 'cart', 'id')}"
    client.store("POST", f"{path}/customer", {})
    client.store("DELETE", f"{path}/line-items/{pick(answer, 'cart', 'items', 0, 'id')}")
    client.store("POST", path, {"region_id": ids["region2"]})
    client.store("POST", f"{path}/promotions", {"promo_codes": ["TET10"]})
    client.store("DELETE", f"{path}/promotions", {"promo_codes": ["TET10"]})
    client.store("POST", f"{path}/complete", {})


def orders(client):
    client.flow = "own orders"
    details = "?fields=*items,*shipping_address,*payment_collections.payments,*fulfillments"
    client.store("GET", "/store/orders?limit=10&order=-created_at")
    client.store("GET", f"/store/orders/{client.ids['order1']}{details}")
    client.store("GET", "/store/orders?status[]=pending&fields=*items.variant.product")


def second_customer(client):
    """Another customer has no orders yet, and asks for that of a guest."""
    ids = client.ids
    ids["customer2"] = register(client, "binh@example.vn", "Bình", "Trần", "0912345678")
    client.store("GET", "/store/orders")
    client.store("POST", f"/store/orders/{ids['order3']}/transfer/request", {"description": "là của tôi"})
    lines = [{"variant_id": pick(ids["variants"], 0), "quantity": 3}]
    client.store("POST", "/store/carts", {"region_id": ids["region"], "email": "binh@example.vn", "items": lines})
