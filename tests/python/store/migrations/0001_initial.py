import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Tag",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=50, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Customer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("full_name", models.CharField(max_length=200)),
                ("phone", models.CharField(db_index=True, max_length=20, null=True)),
                ("email", models.EmailField(max_length=254, null=True)),
                ("city", models.CharField(default="", max_length=100)),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("tags", models.ManyToManyField(to="store.tag")),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("amount", models.IntegerField()),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="orders", to="store.customer"
                    ),
                ),
            ],
        ),
        migrations.AddIndex(model_name="order", index=models.Index(fields=["amount"], name="order_amount")),
        migrations.AddConstraint(
            model_name="order", constraint=models.CheckConstraint(condition=models.Q(amount__gte=0), name="amount_positive")
        ),
        migrations.RunSQL("COMMENT ON TABLE store_customer IS 'people'", migrations.RunSQL.noop),
    ]
