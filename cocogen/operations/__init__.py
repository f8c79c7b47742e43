"""What one does with a consortium: register, deploy, open, play, report."""
