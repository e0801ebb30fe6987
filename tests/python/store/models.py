"""A shop of three tables."""

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
