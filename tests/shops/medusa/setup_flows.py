"""Flows of staff who open a shop: channels, regions, taxes, depots, shipping, reasons, catalogue, promotions.

In: a client that staff has logged in to, an empty shop. Out: what later flows need, in `client.ids`.
"""

from client import MISSING, pick


def setup(client):
    for flow in (channels, keys, regions, taxes, depots, shipping, reasons, catalogue, products, stock, promotions):
        client.flow = "setup"
        flow(client)
    client.shop = {"x-publishable-api-key": client.ids["token"]}


def channels(client):
    ids, admin = client.ids, client.admin
    admin("GET", "/admin/users/me")
    ids["store"] = pick(admin("GET", "/admin/stores"), "stores", 0, "id")
    for page in ("currencies?limit=100&order=code", "tax-providers", "fulfillment-providers", "payments/payment-providers"):
        admin("GET", f"/admin/{page}")
    ids["channel"] = pick(admin("GET", "/admin/sales-channels"), "sales_channels", 0, "id")
    answer = admin("POST", "/admin/sales-channels", {"name": "Shopee", "description": "sàn"})
    ids["channel2"] = pick(answer, "sales_channel", "id")
    admin("POST", f"/admin/sales-channels/{ids['channel2']}", {"description": "Sàn thương mại", "is_disabled": False})
    currencies = [{"currency_code": "vnd", "is_default": True}, {"currency_code": "usd"}]
    store = {"name": "Cửa hàng", "supported_currencies": currencies, "default_sales_channel_id": ids["channel"]}
    admin("POST", f"/admin/stores/{ids['store']}", store)


def keys(client):
    ids, admin = client.ids, client.admin
    key = pick(admin("GET", "/admin/api-keys?type=publishable"), "api_keys", 0)
    if key is MISSING:
        key = pick(admin("POST", "/admin/api-keys", {"title": "web", "type": "publishable"}), "api_key")
    ids["token"] = pick(key, "token")
    admin("POST", f"/admin/api-keys/{pick(key, 'id')}/sales-channels", {"add": [ids["channel"]]})
    answer = admin("POST", "/admin/api-keys", {"title": "erp", "type": "secret"})
    ids["secret_key"] = pick(answer, "api_key", "id")


def regions(client):
    ids, admin = client.ids, client.admin
    payment = {"payment_providers": ["pp_system_default"]}
    vietnam = {"name": "Việt Nam", "currency_code": "vnd", "countries": ["vn"]}
    vietnam |= {"automatic_taxes": True, "is_tax_inclusive": False}
    ids["region"] = pick(admin("POST", "/admin/regions", vietnam | payment), "region", "id")
    america = {"name": "Mỹ", "currency_code": "usd", "countries": ["us"]}
    ids["region2"] = pick(admin("POST", "/admin/regions", america | payment), "region", "id")
    admin("POST", f"/admin/regions/{ids['region2']}", {"name": "Hoa Kỳ", "countries": ["us", "ca"]})
    admin("GET", "/admin/regions?fields=*countries,*payment_providers")
    admin("GET", f"/admin/regions/{ids['region']}")


def taxes(client):
    ids, admin = client.ids, client.admin
    rate = {"name": "VAT", "code": "VAT", "rate": 8}
    region = {"country_code": "vn", "provider_id": "tp_system", "default_tax_rate": rate}
    ids["tax_region"] = pick(admin("POST", "/admin/tax-regions", region), "tax_region", "id")
    admin("POST", "/admin/tax-rates", {"tax_region_id": ids["tax_region"], "name": "Giảm", "code": "R5", "rate": 5})
    admin("GET", "/admin/tax-rates")
    admin("GET", "/admin/tax-regions?fields=*tax_rates")


def depots(client):
    ids, admin = client.ids, client.admin
    address = {"address_1": "1 Nguyễn Huệ", "city": "Hồ Chí Minh", "country_code": "vn"}
    depot = {"name": "Kho Q1", "address": address | {"phone": "0283822", "postal_code": "700000"}}
    ids["depot"] = pick(admin("POST", "/admin/stock-locations", depot), "stock_location", "id")
    depot = {"name": "Kho HN", "address": {"address_1": "2 Hàng Bài", "country_code": "vn"}}
    ids["depot2"] = pick(admin("POST", "/admin/stock-locations", depot), "stock_location", "id")
    path = f"/admin/stock-locations/{ids['depot']}"
    admin("POST", f"{path}/sales-channels", {"add": [ids["channel"]]})
    admin("POST", f"{path}/fulfillment-providers", {"add": ["manual_manual"]})
    answer = admin("POST", f"{path}/fulfillment-sets?fields=*fulfillment_sets", {"name": "Giao hàng", "type": "shipping"})
    fulfilment = pick(answer, "stock_location", "fulfillment_sets", 0, "id")
    zone = {"name": "VN", "geo_zones": [{"type": "country", "country_code": "vn"}]}
    answer = admin("POST", f"/admin/fulfillment-sets/{fulfilment}/service-zones?fields=*service_zones", zone)
    ids["zone"] = pick(answer, "fulfillment_set", "service_zones", 0, "id")


def shipping(client):
    ids, admin = client.ids, client.admin
    ids["profile"] = pick(admin("GET", "/admin/shipping-profiles"), "shipping_profiles", 0, "id")
    if ids["profile"] is MISSING:
        answer = admin("POST", "/admin/shipping-profiles", {"name": "Mặc định", "type": "default"})
        ids["profile"] = pick(answer, "shipping_profile", "id")
    ids["delivery"] = shipping_option(client, "Giao nhanh", 30000, is_return="false")
    ids["way_back"] = shipping_option(client, "Trả hàng", 0, is_return="true")
    admin("POST", f"/admin/shipping-options/{ids['delivery']}", {"name": "Giao siêu nhanh"})
    admin("GET", "/admin/shipping-options?fields=*rules,*prices")
    admin("GET", f"/admin/shipping-options/{ids['delivery']}")


def shipping_option(client, name, amount, is_return):
    ids = client.ids
    conditions = {"enabled_in_store": "true", "is_return": is_return}
    option = {
        "name": name,
        "service_zone_id": ids["zone"],
        "shipping_profile_id": ids["profile"],
        "provider_id": "manual_manual",
        "price_type": "flat",
        "type": {"label": "Nhanh", "description": "2 ngày", "code": "fast"},
        "prices": [{"currency_code": "vnd", "amount": amount}, {"region_id": ids["region"], "amount": amount}],
        "rules": [{"attribute": key, "operator": "eq", "value": value} for key, value in conditions.items()],
    }
    return pick(client.admin("POST", "/admin/shipping-options", option), "shipping_option", "id")


def reasons(client):
    ids, admin = client.ids, client.admin
    answer = admin("POST", "/admin/return-reasons", {"value": "size", "label": "Không vừa"})
    ids["return_reason"] = pick(answer, "return_reason", "id")
    admin("GET", "/admin/return-reasons")
    answer = admin("POST", "/admin/refund-reasons", {"code": "broken", "label": "Hỏng"})
    ids["refund_reason"] = pick(answer, "refund_reason", "id")
    admin("GET", "/admin/refund-reasons")


def catalogue(client):
    client.flow = "catalogue"
    ids, admin = client.ids, client.admin
    answer = admin("POST", "/admin/collections", {"title": "Áo mùa hè", "handle": "summer"})
    ids["collection"] = pick(answer, "collection", "id")
    answer = admin("POST", "/admin/product-categories", {"name": "Áo", "is_active": True, "is_internal": False})
    ids["category"] = pick(answer, "product_category", "id")
    child = {"name": "Áo thun", "is_active": True, "parent_category_id": ids["category"]}
    ids["category2"] = pick(admin("POST", "/admin/product-categories", child), "product_category", "id")
    ids["tag"] = pick(admin("POST", "/admin/product-tags", {"value": "mới"}), "product_tag", "id")
    ids["type"] = pick(admin("POST", "/admin/product-types", {"value": "quần áo"}), "product_type", "id")


def products(client):
    """Six products with three sizes each."""
    client.flow = "catalogue"
    ids = client.ids
    ids["products"], ids["variants"] = [], []
    for number in range(6):
        made = pick(client.admin("POST", "/admin/products", product(ids, number)), "product")
        ids["products"].append(pick(made, "id"))
        found = made["variants"] if made is not MISSING else []
        ids["variants"] += [variant["id"] for variant in sorted(found, key=lambda variant: variant["sku"])]


def product(ids, number):
    return {
        "title": f"Áo thun {number}",
        "handle": f"ao-{number}",
        "status": "published",
        "description": f"Áo đẹp số {number}",
        "collection_id": ids["collection"],
        "type_id": ids["type"],
        "tags": [{"id": ids["tag"]}],
        "categories": [{"id": ids["category2"]}],
        "shipping_profile_id": ids["profile"],
        "sales_channels": [{"id": ids["channel"]}],
        "weight": 200,
        "images": [{"url": f"https://shop.example/{number}.png"}],
        "options": [{"title": "Cỡ", "values": ["S", "M", "L"]}],
        "metadata": {"mùa": "hè", "i": number},
        "variants": [variant(number, size) for size in "SML"],
    }


def variant(number, size):
    prices = [
        {"currency_code": "vnd", "amount": 100000 + number * 1000},
        {"currency_code": "usd", "amount": 5.5 + number},
        {"currency_code": "vnd", "amount": 90000, "min_quantity": 5, "max_quantity": 50},
    ]
    return {"title": size, "sku": f"AO-{number}-{size}", "options": {"Cỡ": size}, "prices": prices}


def stock(client):
    client.flow = "catalogue"
    ids = client.ids
    found = client.admin("GET", "/admin/inventory-items?limit=100&order=sku").get("inventory_items", [])
    ids["items"] = [item["id"] for item in found]
    levels = [{"inventory_item_id": item, "location_id": ids["depot"], "stocked_quantity": 1000} for item in ids["items"]]
    client.admin("POST", "/admin/inventory-items/location-levels/batch", {"create": levels})


def promotions(client):
    client.flow = "catalogue"
    ids, admin = client.ids, client.admin
    budget = {"type": "usage", "limit": 100}
    admin("POST", "/admin/campaigns", {"name": "Tết", "campaign_identifier": "tet", "budget": budget})
    method = {"type": "percentage", "target_type": "items", "allocation": "across", "value": 10}
    ids["promotion"] = promotion(client, "TET10", is_automatic=False, application_method=method)
    method = {"type": "fixed", "target_type": "shipping_methods", "allocation": "across", "value": 5000}
    rules = [{"attribute": "region.id", "operator": "in", "values": [ids["region"]]}]
    ids["promotion2"] = promotion(client, "SHIP", application_method=method | {"currency_code": "vnd"}, rules=rules)
    ids["group"] = pick(admin("POST", "/admin/customer-groups", {"name": "VIP"}), "customer_group", "id")
    prices = [{"currency_code": "vnd", "amount": 80000, "variant_id": pick(ids["variants"], 0)}]
    price_list = {"title": "VIP", "description": "giá VIP", "type": "sale", "status": "active", "prices": prices}
    answer = admin("POST", "/admin/price-lists", price_list | {"rules": {"customer.groups.id": [ids["group"]]}})
    ids["price_list"] = pick(answer, "price_list", "id")


def promotion(client, code, **more):
    body = {"code": code, "type": "standard", "status": "active"} | more
    return pick(client.admin("POST", "/admin/promotions", body), "promotion", "id")
