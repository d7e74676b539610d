"""Book a trip (flight, hotel, car, payment) as a saga on Temporal.

Read it top down, an import points down only:

* ``client``, ``worker``, ``audit``: the entry points, ``python -m travel.client``
* ``booking``, ``trips``, ``console``: start trips and wait; the 44 trips; how commands speak
* ``workflows``: ``BookTrip`` and its kin, and how they call Activities
* ``saga``: remembers how to undo each step, and undoes them; can be lifted out whole
* ``activities``, ``reconciliation``: what a Workflow may ask for
* ``faults``: the failure model, and the interceptor that carries it out
* ``providers``: flights, hotels, cars, payments, email; ``providers.outside``: adapters for
  hotels that are not ours
* ``temporal``: connection, server, runtime, search attributes, encryption, metrics
* ``store``: tables and transactions, requests, inventory, what is held, seed data
* ``models``, ``errors``: what crosses the wire
"""

__version__ = "2.0"
