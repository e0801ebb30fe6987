"""A shop of four tables."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=50, unique=True)


class Customer(models.Model):
    full_name = models.CharField(max_length=200)
    phone = models.CharField(max_length=20, null=True, db_index=True)
    email = models.EmailField(null=True)
    city = models.CharField(max_length=100, default="")
    created = models.DateTimeField(auto_now_add=True)
    tags = models.ManyToManyField(Tag)


class Order(models.Model):
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="orders")
    amount = models.IntegerField()


class Parcel(models.Model):
    """What only PostgreSQL has."""

    code = models.CharField(max_length=20, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, null=True)
    data = models.JSONField(default=dict)
    labels = ArrayField(models.CharField(max_length=20), default=list)
    words = SearchVectorField(null=True)
    weight = models.DecimalField(max_digits=8, decimal_places=2, default=0)

    class Meta:
        indexes = [GinIndex(fields=["words"], name="parcel_words")]
