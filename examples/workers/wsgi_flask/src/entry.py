"""A Flask application as a worker; ``environ["workers.env"]`` has the bindings."""

import flask
from workers import wsgi

app = flask.Flask(__name__)


@app.get("/")
def home() -> str:
    return f"Welcome to {flask.request.environ['workers.env'].SHOP}\n"


@app.post("/sum")
def total() -> flask.Response:
    numbers = flask.request.get_json()
    return flask.jsonify(sum=sum(numbers))


Default = wsgi.entrypoint(app)
