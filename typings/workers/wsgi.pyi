from longshore.workers.wsgi import *
