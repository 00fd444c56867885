"""The archive and its pages: what a deployment rests on."""
