"""The meter of the meter: what an event costs, counted unit by unit while the real handlers run.

`capacity` says what DynamoDB charges for, `counting` counts it at every table, `deployment` gives the handlers the
batches that AWS would make, `shapes` says who sends what, `costs` has the price list, `report` tells.
"""
