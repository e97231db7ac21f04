"""An MQTT client for the tests, on paho. It reads one JSON command a line and writes one JSON
event a line, each with the wall clock in milliseconds."""

import json
import sys
import threading
import time

import paho.mqtt.client as mqtt

lock = threading.Lock()


def tell(event, **more):
    with lock:
        print(json.dumps({"event": event, "ms": int(time.time() * 1000), **more}), flush=True)


def value(code):
    """A reason code as a number, whatever the protocol's version."""
    return getattr(code, "value", code)


def main():
    port, version, client_id, user, password, clean = (json.loads(sys.argv[1])[name] for name in (
        "port", "version", "client_id", "user", "password", "clean"))
    will = json.loads(sys.argv[1]).get("will")
    transport = "websockets" if json.loads(sys.argv[1])["websockets"] else "tcp"
    protocol = mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311
    options = {} if version == 5 else {"clean_session": clean}
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol,
        transport=transport,
        reconnect_on_failure=False, **options)
    if user is not None:
        client.username_pw_set(user, password)
    if will is not None:
        client.will_set(will, "gone", qos=1)
    client.on_connect = lambda c, u, flags, code, props: tell(
        "connect", code=value(code), present=flags.session_present)
    client.on_disconnect = lambda c, u, flags, code, props: tell("disconnect", code=value(code))
    client.on_publish = lambda c, u, mid, code, props: tell("published", code=value(code))
    client.on_subscribe = lambda c, u, mid, codes, props: tell("subscribed", code=value(codes[0]))
    client.on_message = lambda c, u, message: tell(
        "message", topic=message.topic, payload=message.payload.decode())
    connect = {"keepalive": 10}
    if version == 5:
        connect["clean_start"] = clean
    client.connect("127.0.0.1", port, **connect)
    client.loop_start()
    for line in sys.stdin:
        command = json.loads(line)
        if "publish" in command:
            client.publish(command["publish"], command["payload"], qos=1,
                           retain=command.get("retain", False))
        elif "subscribe" in command:
            client.subscribe(command["subscribe"], qos=1)
        elif "leave" in command:
            client.disconnect()
            break
    client.loop_stop()


main()
