"""amqtt 0.12 that asks `muster gateway --topics topics.rules` about every client and every topic.

Needs the packages amqtt, aiohttp and sqlalchemy. A program, not a file for the command `amqtt`:
that makes its plugins before there is an event loop, which aiohttp does not allow, and takes no
`request_method` from a file.
"""

import asyncio
import logging

from amqtt.broker import Broker
from amqtt.contrib.http import ParamsMode, RequestMethod, ResponseMode

LISTEN = "127.0.0.1:1883"
GATEWAY_PORT = 7701

ASK = {
    "host": "127.0.0.1",
    "port": GATEWAY_PORT,
    "request_method": RequestMethod.POST,
    "params_mode": ParamsMode.JSON,
    "response_mode": ResponseMode.JSON,
}

CONFIG = {
    "listeners": {"default": {"type": "tcp", "bind": LISTEN}},
    "plugins": {
        "amqtt.contrib.http.UserAuthHttpPlugin": {**ASK, "user_uri": "/v1/mqtt/authenticate"},
        "amqtt.contrib.http.TopicAuthHttpPlugin": {**ASK, "topic_uri": "/v1/mqtt/acl"},
    },
}


async def main():
    broker = Broker(CONFIG)
    await broker.start()
    await asyncio.Event().wait()


logging.basicConfig(level=logging.INFO)
asyncio.run(main())
