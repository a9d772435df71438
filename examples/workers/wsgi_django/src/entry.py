"""A Django project in one file, served as WSGI: its blocking views run in threads."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from workers import env

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY=env.SECRET_KEY)


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Welcome to {env.SHOP}\n", content_type="text/plain")


def echo(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"method": request.method, "query": dict(request.GET.items()), "bytes": len(request.body)})


urlpatterns = [path("", home), path("echo", echo)]
app = get_wsgi_application()
