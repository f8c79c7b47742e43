"""What runs beside a SuperNode for each message: a relay to the organization's own process."""

from cocogen.flower.relay import over_socket, relay_app

app = relay_app(over_socket)
