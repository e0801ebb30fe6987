"""Flows of staff around orders: payment, fulfilment, returns, exchanges, claims, edits, draft orders.

In: a client with the orders of store_flows.py. Each flow goes on with the orders that the flows before it have left.
"""

from client import MISSING, pick
from store_flows import HOME, OFFICE

LISTED = (
    "id,status,created_at,email,display_id,payment_status,fulfillment_status,total,currency_code,*customer,*sales_channel"
)
# What the admin's page of an order asks for.
SHOWN = (
    "*customer,*items,*items.variant,*items.variant.product,*items.variant.options,+items.variant.manage_inventory,"
    "*items.variant.inventory_items.inventory,*shipping_address,*billing_address,*sales_channel,*promotions,"
    "*shipping_methods,*fulfillments,+fulfillments.shipping_option.service_zone.fulfillment_set.type,"
    "*fulfillments.items,*fulfillments.labels,*fulfillments.provider,*payment_collections,"
    "*payment_collections.payments,*payment_collections.payments.refunds,"
    "*payment_collections.payments.refunds.refund_reason,region.automatic_taxes,+summary,+credit_lines"
)


def orders(client):
    for flow in (
        order_lists, order_page, order_update, payment, delivery, cancelled,
        returns, exchange, claim, edit, after_edit, finish, draft, draft_edit, draft_delete,
    ):
        flow(client)


def show(client, order):
    """The order as its page shows it, its lines by article number; MISSING if there is none."""
    found = pick(client.admin("GET", f"/admin/orders/{order}?fields={SHOWN}"), "order")
    if found is not MISSING:
        found["items"] = sorted(found.get("items") or [], key=lambda line: line.get("variant_sku") or "")
    return found


def lines(order):
    found = pick(order, "items")
    return [] if found is MISSING else [{"id": line["id"], "quantity": line["quantity"]} for line in found]


def order_lists(client):
    client.flow = "orders"
    ids = client.ids
    queries = [f"limit=20&fields={LISTED}", "order=-display_id&limit=2&offset=1"]
    queries += [f"q={word}" for word in ("khai", "khai@example.vn", "0901234567", "Lợi", "1", "Áo")]
    queries += [f"customer_id={ids['customer1']}&status[]=pending"]
    channel = f"region_id[]={ids['region']}&sales_channel_id[]={ids['channel']}"
    queries += [f"{channel}&created_at[$gte]=2020-01-01T00:00:00Z", "total[$gt]=100000"]
    for query in queries:
        client.admin("GET", f"/admin/orders?{query}")


def order_page(client):
    order = client.ids["order1"]
    show(client, order)
    for part in ("preview", "changes", "line-items?fields=*item", "shipping-options"):
        client.admin("GET", f"/admin/orders/{order}/{part}")


def order_update(client):
    """New values for one order; for another the address as it was read: masks, where masks were shown."""
    ids = client.ids
    shown = pick(show(client, ids["order1"]), "shipping_address")
    address = {"phone": "0900000001", "address_1": "99 Lê Lợi"}
    update = {"email": "khai2@example.vn", "shipping_address": address, "metadata": {"vip": True}}
    client.admin("POST", f"/admin/orders/{ids['order1']}", update)
    show(client, ids["order1"])
    client.admin("GET", f"/admin/orders/{ids['order1']}/changes")
    read = {key: pick(shown, key) for key in HOME}
    client.admin("POST", f"/admin/orders/{ids['order2']}", {"shipping_address": read})
    show(client, ids["order2"])


def payment(client):
    client.flow = "payment"
    ids, admin = client.ids, client.admin
    admin("GET", "/admin/payments?fields=*payment_collection,*refunds,*captures")
    paid = pick(show(client, ids["order1"]), "payment_collections", 0, "payments", 0, "id")
    admin("GET", f"/admin/payments/{paid}")
    admin("POST", f"/admin/payments/{paid}/capture", {})
    refund = {"amount": 10000, "refund_reason_id": ids["refund_reason"], "note": "hoàn"}
    admin("POST", f"/admin/payments/{paid}/refund", refund)


def fulfil(client, order, found):
    """The id of a fulfilment of all lines."""
    body = {"items": found, "location_id": client.ids["depot"], "metadata": {"x": 1}}
    answer = client.admin("POST", f"/admin/orders/{order}/fulfillments?fields=*fulfillments", body)
    return pick(answer, "order", "fulfillments", 0, "id")


def ship(client, order):
    """Lines of an order that is fulfilled and shipped."""
    found = lines(show(client, order))
    made = fulfil(client, order, found)
    client.admin("POST", f"/admin/orders/{order}/fulfillments/{made}/shipments", {"items": found})
    return found


def delivery(client):
    client.flow = "fulfilment"
    order = client.ids["order1"]
    found = lines(show(client, order))
    client.admin("GET", "/admin/reservations?fields=*inventory_item")
    path = f"/admin/orders/{order}/fulfillments/{fulfil(client, order, found)}"
    url = "https://carrier.example/1"
    label = {"tracking_number": "VN1", "tracking_url": url, "label_url": f"{url}.pdf"}
    client.admin("POST", f"{path}/shipments", {"items": found, "labels": [label]})
    client.admin("POST", f"{path}/mark-as-delivered", {})
    show(client, order)


def cancelled(client):
    order = client.ids["order2"]
    made = fulfil(client, order, lines(show(client, order)))
    client.admin("POST", f"/admin/orders/{order}/fulfillments/{made}/cancel", {})
    client.admin("POST", f"/admin/orders/{order}/cancel", {})
    show(client, order)


def returns(client):
    client.flow = "returns"
    ids, admin = client.ids, client.admin
    found = lines(show(client, ids["order1"]))
    line = {"id": pick(found, 0, "id"), "quantity": 1}
    opened = {"order_id": ids["order1"], "location_id": ids["depot"], "internal_note": "gọi 0901234567"}
    path = f"/admin/returns/{pick(admin('POST', '/admin/returns', opened), 'return', 'id')}"
    asked = line | {"reason_id": ids["return_reason"], "internal_note": "rách"}
    admin("POST", f"{path}/request-items", {"items": [asked]})
    admin("POST", f"{path}/shipping-method", {"shipping_option_id": ids["way_back"]})
    admin("POST", f"{path}/request", {})
    admin("POST", f"{path}/receive", {"internal_note": "nhận"})
    admin("POST", f"{path}/receive-items", {"items": [line]})
    admin("POST", f"{path}/receive/confirm", {})
    admin("GET", f"/admin/returns?fields=*items,*order&order_id={ids['order1']}")
    admin("GET", f"{path}?fields=*items,*items.reason")
    show(client, ids["order1"])
    customer_return(client, pick(found, 1, "id"))
    # Of a cancelled order: Medusa says no.
    admin("POST", "/admin/returns", {"order_id": ids["order2"]})


def customer_return(client, line):
    ids = client.ids
    asked = {"id": line, "quantity": 1, "reason_id": ids["return_reason"], "note": "không vừa"}
    way = {"option_id": ids["way_back"]}
    client.store("POST", "/store/returns", {"order_id": ids["order1"], "items": [asked], "return_shipping": way, "note": "x"})


def exchange(client):
    client.flow = "exchange"
    ids, admin = client.ids, client.admin
    line = {"id": pick(ship(client, ids["order4"]), 0, "id"), "quantity": 1}
    answer = admin("POST", "/admin/exchanges", {"order_id": ids["order4"], "description": "đổi"})
    path = f"/admin/exchanges/{pick(answer, 'exchange', 'id')}"
    admin("POST", f"{path}/inbound/items", {"items": [line]})
    admin("POST", f"{path}/inbound/shipping-method", {"shipping_option_id": ids["way_back"]})
    admin("POST", f"{path}/outbound/items", {"items": [{"variant_id": pick(ids["variants"], 5), "quantity": 1}]})
    admin("POST", f"{path}/outbound/shipping-method", {"shipping_option_id": ids["delivery"]})
    admin("POST", f"{path}/request", {})
    admin("GET", "/admin/exchanges?fields=*additional_items")
    admin("GET", path)
    show(client, ids["order4"])
    # What is fulfilled cannot be cancelled: Medusa says no.
    admin("POST", f"{path}/cancel", {})


def claim(client):
    client.flow = "claim"
    ids, admin = client.ids, client.admin
    line = {"id": pick(ship(client, ids["order5"]), 0, "id"), "quantity": 1}
    answer = admin("POST", "/admin/claims", {"order_id": ids["order5"], "type": "replace", "description": "hỏng"})
    path = f"/admin/claims/{pick(answer, 'claim', 'id')}"
    admin("POST", f"{path}/claim-items", {"items": [line | {"reason": "production_failure"}]})
    admin("POST", f"{path}/inbound/items", {"items": [line]})
    admin("POST", f"{path}/outbound/items", {"items": [{"variant_id": pick(ids["variants"], 6), "quantity": 1}]})
    admin("POST", f"{path}/request", {})
    admin("GET", "/admin/claims?fields=*claim_items,*additional_items")
    admin("GET", path)
    show(client, ids["order5"])


def edit(client):
    client.flow = "edit"
    ids, admin = client.ids, client.admin
    order = show(client, ids["order6"])
    admin("POST", "/admin/order-edits", {"order_id": ids["order6"]})
    path = f"/admin/order-edits/{ids['order6']}"
    added = {"variant_id": pick(ids["variants"], 9), "quantity": 2, "unit_price": 1000, "internal_note": "thêm"}
    admin("POST", f"{path}/items", {"items": [added]})
    admin("POST", f"{path}/items/item/{pick(order, 'items', 0, 'id')}", {"quantity": 5})
    admin("POST", f"{path}/shipping-method", {"shipping_option_id": ids["delivery"], "custom_amount": 1})
    admin("POST", f"{path}/request", {})
    admin("POST", f"{path}/confirm", {})
    show(client, ids["order6"])


def after_edit(client):
    ids, admin = client.ids, client.admin
    answer = admin("POST", "/admin/payment-collections", {"order_id": ids["order6"], "amount": 5000})
    collection = pick(answer, "payment_collection", "id")
    admin("POST", f"/admin/payment-collections/{collection}/mark-as-paid", {"order_id": ids["order6"]})
    path = f"/admin/orders/{ids['order6']}"
    admin("POST", f"{path}/transfer", {"customer_id": ids["customer2"], "internal_note": "x"})
    admin("POST", f"{path}/transfer/cancel", {})
    admin("POST", f"{path}/credit-lines", {"amount": 100, "reference": "x", "reference_id": "y"})


def finish(client):
    path = f"/admin/orders/{client.ids['order4']}"
    client.admin("POST", f"{path}/complete", {})
    client.admin("POST", f"{path}/archive", {})
    client.admin("POST", "/admin/orders/export", {})


def draft(client):
    client.flow = "draft"
    ids, admin = client.ids, client.admin
    made = {
        "email": "nhap@example.vn",
        "region_id": ids["region"],
        "sales_channel_id": ids["channel"],
        "shipping_address": HOME,
        "billing_address": OFFICE,
        "items": [
            {"variant_id": pick(ids["variants"], 2), "quantity": 2},
            {"title": "Tùy chỉnh", "quantity": 1, "unit_price": 12345},
        ],
        "shipping_methods": [{"name": "x", "shipping_option_id": ids["delivery"], "amount": 10}],
        "metadata": {"n": 1},
    }
    ids["draft"] = pick(admin("POST", "/admin/draft-orders", made), "draft_order", "id")
    path = f"/admin/draft-orders/{ids['draft']}"
    admin("GET", "/admin/draft-orders?limit=10&fields=*customer,*items")
    admin("GET", "/admin/draft-orders?q=nhap")
    admin("GET", f"{path}?fields=*customer,*shipping_address,*items")
    update = {"email": "nhap2@example.vn", "shipping_address": {"phone": "0900000002"}}
    admin("POST", path, update | {"customer_id": ids["customer2"]})


def draft_edit(client):
    ids, admin = client.ids, client.admin
    path = f"/admin/draft-orders/{ids['draft']}"
    admin("POST", f"{path}/edit", {})
    admin("POST", f"{path}/edit/items", {"items": [{"variant_id": pick(ids["variants"], 3), "quantity": 1}]})
    admin("POST", f"{path}/edit/shipping-methods", {"shipping_option_id": ids["delivery"]})
    admin("POST", f"{path}/edit/promotions", {"promo_codes": ["TET10"]})
    admin("POST", f"{path}/edit/request", {})
    admin("POST", f"{path}/edit/confirm", {})
    admin("POST", f"{path}/convert-to-order", {})
    show(client, ids["draft"])


def draft_delete(client):
    made = {"email": "xoa@example.vn", "region_id": client.ids["region"], "items": []}
    answer = client.admin("POST", "/admin/draft-orders", made)
    client.admin("DELETE", f"/admin/draft-orders/{pick(answer, 'draft_order', 'id')}")
