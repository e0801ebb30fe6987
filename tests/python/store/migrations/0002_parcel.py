import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("store", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="Parcel",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("code", models.CharField(max_length=20, unique=True)),
                ("customer", models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to="store.customer")),
                ("data", models.JSONField(default=dict)),
                ("labels", django.contrib.postgres.fields.ArrayField(models.CharField(max_length=20), default=list)),
                ("words", django.contrib.postgres.search.SearchVectorField(null=True)),
                ("weight", models.DecimalField(decimal_places=2, default=0, max_digits=8)),
            ],
        ),
        migrations.AddIndex(
            model_name="parcel",
            index=django.contrib.postgres.indexes.GinIndex(fields=["words"], name="parcel_words"),
        ),
    ]
