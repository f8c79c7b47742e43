"""What runs beside the SuperLink: the rounds of the consortium."""

from flwr.serverapp import ServerApp

from cli.flower.apps import serve

app = ServerApp()
app.main()(serve)
