"""What runs beside a SuperNode: the organization's training."""

from cli.flower.apps import open_node
from cocogen.flower.node import client_app

app = client_app(open_node)
