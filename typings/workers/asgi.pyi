from longshore.workers.asgi import *
