"""PostgreSQL with Django's ORM: an async view of a Django project in one file, served as ASGI."""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import models
from django.http import HttpRequest, JsonResponse
from django.urls import path
from workers import env

db = env.DB
postgres = {"ENGINE": "django.db.backends.postgresql", "HOST": db.host, "PORT": db.port, "NAME": db.database}
login = {"USER": db.user, "PASSWORD": db.password}
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DATABASES={"default": postgres | login})
django.setup()


class Customer(models.Model):
    name = models.TextField()
    city = models.TextField()

    class Meta:
        app_label, db_table, managed = "shop", "customers", False


async def customers(request: HttpRequest) -> JsonResponse:
    return JsonResponse([row async for row in Customer.objects.order_by("id").values()], safe=False)


urlpatterns = [path("", customers)]
app = get_asgi_application()
