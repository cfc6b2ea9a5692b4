"""Load tests of a running consortium with Locust; `locust -f loadtest/locustfile.py`.

A process has one channel to each bank, one stream of sealed blocks, and any number of users, which
are greenlets. It imports `node.client` alone: what a load tester sees is what any client sees.
"""
