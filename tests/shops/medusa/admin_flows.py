"""Flows of staff: customers, orders (order_flows.py), stock, products, prices, settings.

In: a client with the ids of setup_flows.py and store_flows.py. What is deleted is deleted at the end of its flow.
"""

import order_flows
from client import pick
from store_flows import HOME

SINCE = "created_at[$gte]=2020-01-01T00:00:00Z"


def admin(client):
    client.login_customer("khai@example.vn")
    for flow in (
        customer_lists, customer, customer_addresses, groups, order_flows.orders,
        stock, reservations, depots, product_lists, product, variants, collections,
        price_list, promotions, users, keys, settings,
    ):
        flow(client)


def read(client, *pages):
    for page in pages:
        client.admin("GET", f"/admin/{page}")


def customer_lists(client):
    client.flow = "customers"
    listed = "id,email,first_name,last_name,has_account,created_at"
    read(client, f"customers?limit=20&order=-created_at&fields={listed}")
    words = ("khai", "0901234567", "Nguyễn", "example.vn", "khai@example.vn", "Cty")
    read(client, *[f"customers?q={word}&limit=20" for word in words])
    read(
        client,
        "customers?email=khai@example.vn",
        "customers?has_account=true&order=email",
        "customers?order=last_name&limit=1&offset=1",
        f"customers?{SINCE}&first_name=Bình",
        f"customers?groups[]={client.ids['group']}",
        "customers?$or[0][email]=khai@example.vn&$or[1][first_name]=Bình",
    )


def customer(client):
    """A new customer, whose values are written back as they were read, masks included."""
    ids = client.ids
    person = {"email": "moi@example.vn", "first_name": "Mới", "last_name": "Lê", "phone": "0987654321"}
    answer = client.admin("POST", "/admin/customers", person | {"company_name": "Mới Cty", "metadata": {"k": 1}})
    ids["customer3"] = pick(answer, "customer", "id")
    known, path = f"customers/{ids['customer1']}", f"customers/{ids['customer3']}"
    read(client, f"{known}?fields=*addresses,*groups")
    client.admin("POST", f"/admin/{known}", {"first_name": "Khai", "phone": "0909999888"})
    read(client, known)
    shown = pick(client.admin("GET", f"/admin/{path}"), "customer")
    client.admin("POST", f"/admin/{path}", {key: pick(shown, key) for key in (*person, "company_name")})
    read(client, path)


def customer_addresses(client):
    path = f"/admin/customers/{client.ids['customer3']}/addresses"
    client.admin("POST", path, HOME | {"is_default_shipping": True})
    client.admin("GET", f"{path}?q=Lê")
    made = pick(client.admin("GET", path), "addresses", 0, "id")
    client.admin("POST", f"{path}/{made}", {"city": "Đà Nẵng", "phone": "0911111111"})
    client.admin("DELETE", f"{path}/{made}")


def groups(client):
    """Whoever is in the group sees its price in the shop."""
    ids = client.ids
    members = {"add": [ids["customer1"], ids["customer3"]]}
    client.admin("POST", f"/admin/customer-groups/{ids['group']}/customers", members)
    read(client, "customer-groups?q=VIP&fields=*customers", f"customer-groups/{ids['group']}?fields=*customers")
    path = f"/admin/customers/{ids['customer3']}"
    client.admin("POST", f"{path}/customer-groups", {"remove": [ids["group"]]})
    client.admin("DELETE", path)
    query = f"region_id={ids['region']}&fields=*variants.calculated_price"
    client.store("GET", f"/store/products/{pick(ids['products'], 0)}?{query}")


def stock(client):
    client.flow = "stock"
    ids = client.ids
    levels = f"location_levels[location_id]={ids['depot']}&fields=*location_levels,*variants"
    path = f"inventory-items/{pick(ids['items'], 0)}"
    read(client, "inventory-items?q=AO-1&order=-sku", f"inventory-items?{levels}")
    read(client, f"{path}?fields=*variants,*location_levels")
    client.admin("POST", f"/admin/{path}", {"weight": 300, "material": "vải"})
    level = {"location_id": ids["depot2"], "stocked_quantity": 5}
    client.admin("POST", f"/admin/{path}/location-levels", level)
    read(client, f"{path}/location-levels?fields=*stock_locations")
    second = f"/admin/{path}/location-levels/{ids['depot2']}"
    client.admin("POST", second, {"stocked_quantity": 0, "incoming_quantity": 3})
    change = {"update": [{"location_id": ids["depot"], "stocked_quantity": 900}], "delete": []}
    client.admin("POST", f"/admin/{path}/location-levels/batch", change)
    client.admin("DELETE", second)


def reservations(client):
    ids, item = client.ids, pick(client.ids["items"], 0)
    made = {"inventory_item_id": item, "location_id": ids["depot"], "quantity": 3, "description": "giữ"}
    answer = client.admin("POST", "/admin/reservations", made)
    path = f"/admin/reservations/{pick(answer, 'reservation', 'id')}"
    read(client, f"reservations?inventory_item_id[]={item}&location_id[]={ids['depot']}")
    client.admin("POST", path, {"quantity": 1})
    client.admin("DELETE", path)
    client.admin("POST", "/admin/inventory-items/export", {})


def depots(client):
    path = f"/admin/stock-locations/{client.ids['depot2']}"
    read(client, "stock-locations?fields=*address,*sales_channels,*fulfillment_sets.service_zones.shipping_options")
    address = {"address_1": "3 Hàng Bài", "country_code": "vn", "phone": "024"}
    client.admin("POST", path, {"name": "Kho HN 2", "address": address})
    read(client, "stock-locations?q=HN&order=name")
    client.admin("DELETE", path)


def product_lists(client):
    client.flow = "products"
    ids = client.ids
    listed = "id,title,handle,status,*collection,*sales_channels,variants.id,thumbnail"
    filters = f"tag_id[]={ids['tag']}&type_id[]={ids['type']}&sales_channel_id[]={ids['channel']}"
    read(
        client,
        f"products?limit=20&order=-updated_at&fields={listed}",
        "products?q=thun&status[]=published",
        f"products?{filters}&{SINCE}",
    )


def product(client):
    ids = client.ids
    path = f"products/{pick(ids['products'], 0)}"
    read(client, f"{path}?fields=*categories,*shipping_profile,-variants")
    levels = "*inventory_items.inventory.location_levels,inventory_quantity,manage_inventory"
    read(client, f"{path}/variants?fields=title,sku,*options,created_at,{levels}&order=variant_rank&q=S")
    more = {"metadata": {"a": None, "b": "x"}, "tags": [], "categories": [{"id": ids["category"]}]}
    client.admin("POST", f"/admin/{path}", {"title": "Áo sửa", "subtitle": "mới"} | more)


def variants(client):
    ids, variant = client.ids, pick(client.ids["variants"], 0)
    path = f"/admin/products/{pick(ids['products'], 0)}/variants"
    prices = [{"currency_code": "vnd", "amount": 123000}]
    client.admin("POST", f"{path}/{variant}", {"title": "S+", "prices": prices})
    # The size is taken: Medusa says no.
    taken = {"title": "XL", "sku": "AO-0-XL", "options": {"Cỡ": "L"}, "prices": prices}
    client.admin("POST", path, taken)
    read(client, "product-variants?q=AO-2&fields=*product")
    client.admin("POST", f"{path}/batch", {"update": [{"id": variant, "sku": "AO-0-S1"}]})


def collections(client):
    ids = client.ids
    first, second, last = (pick(ids["products"], number) for number in (0, 1, 5))
    trousers = {"title": "Quần", "options": [{"title": "Màu", "values": ["Đen"]}], "variants": []}
    change = {"create": [trousers], "update": [{"id": second, "subtitle": "y"}], "delete": [last]}
    client.admin("POST", "/admin/products/batch", change)
    client.admin("POST", f"/admin/collections/{ids['collection']}/products", {"remove": [first]})
    client.admin("POST", f"/admin/product-categories/{ids['category']}/products", {"add": [second]})
    tree = "include_descendants_tree=true&include_ancestors_tree=true&parent_category_id=null"
    read(client, f"product-categories?{tree}&fields=id,name,category_children,rank")
    child = f"/admin/product-categories/{ids['category2']}"
    client.admin("POST", child, {"rank": 0, "parent_category_id": None})
    client.admin("DELETE", child)
    read(client, "product-options?q=C&fields=*values", "product-tags?q=m", "product-types")
    read(client, "collections?q=hè&fields=*products")
    client.admin("POST", "/admin/products/export", {})


def price_list(client):
    client.flow = "prices"
    ids = client.ids
    path = f"price-lists/{ids['price_list']}"
    read(client, "price-lists?fields=*prices,*price_list_rules", path, f"{path}/prices")
    client.admin("POST", f"/admin/{path}", {"title": "VIP2", "ends_at": "2030-01-01T00:00:00Z"})
    price = {"variant_id": pick(ids["variants"], 3), "currency_code": "vnd", "amount": 5}
    client.admin("POST", f"/admin/{path}/prices/batch", {"create": [price]})
    client.admin("POST", f"/admin/{path}/products", {"remove": [pick(ids["products"], 0)]})
    read(client, "price-preferences")


def promotions(client):
    ids = client.ids
    read(client, "promotions?q=TET&fields=*application_method,*rules,*campaign", f"promotions/{ids['promotion']}")
    read(client, "promotions/rule-attribute-options/rules", "promotions/rule-value-options/rules/region")
    client.admin("POST", f"/admin/promotions/{ids['promotion']}", {"code": "TET15"})
    rule = {"attribute": "customer.groups.id", "operator": "in", "values": [ids["group"]]}
    client.admin("POST", f"/admin/promotions/{ids['promotion2']}/rules/batch", {"create": [rule]})
    read(client, "campaigns?fields=*budget,*promotions")
    client.admin("DELETE", f"/admin/promotions/{ids['promotion2']}")
    client.admin("DELETE", f"/admin/price-lists/{ids['price_list']}")


def users(client):
    client.flow = "settings"
    answer = client.admin("POST", "/admin/invites", {"email": "nv@shop.vn"})
    path = f"/admin/invites/{pick(answer, 'invite', 'id')}"
    read(client, "invites?q=nv")
    client.admin("POST", f"{path}/resend", {})
    client.admin("DELETE", path)
    user = pick(client.admin("GET", "/admin/users?q=admin&order=-created_at"), "users", 0, "id")
    client.admin("POST", f"/admin/users/{user}", {"first_name": "Quản", "last_name": "Trị"})
    read(client, "users?email=admin@shop.vn")


def keys(client):
    path = f"/admin/api-keys/{client.ids['secret_key']}"
    read(client, "api-keys?type=secret&q=erp&fields=*sales_channels")
    client.admin("POST", f"{path}/revoke", {})
    client.admin("DELETE", path)


def settings(client):
    ids = client.ids
    read(client, "notifications?order=-created_at", "workflows-executions?limit=5&order=-created_at")
    read(client, "sales-channels?q=Shop&fields=*products", "shipping-option-types", "plugins", "feature-flags")
    read(client, "search?q=khai", "search?q=thun&entity=product", "search-indexes", "currencies?q=dong")
    for path in (
        f"sales-channels/{ids['channel2']}", f"regions/{ids['region2']}",
        f"tax-regions/{ids['tax_region']}", f"return-reasons/{ids['return_reason']}",
    ):
        client.admin("DELETE", f"/admin/{path}")
