"""Plays the desktop's portal for keys (org.freedesktop.portal.GlobalShortcuts): grants what is asked for; SIGUSR1 is the person who presses it."""
import signal
import sys

try:
    import dbus
    import dbus.service
    from dbus.mainloop.glib import DBusGMainLoop
    from gi.repository import GLib
except ImportError:
    sys.exit(77)

DBusGMainLoop(set_as_default=True)
BUS = dbus.SessionBus()
SHORTCUTS = "org.freedesktop.portal.GlobalShortcuts"


class Request(dbus.service.Object):
    @dbus.service.signal("org.freedesktop.portal.Request", signature="ua{sv}")
    def Response(self, how, results):
        pass


class Portal(dbus.service.Object):
    session, shortcut = None, None

    def answer(self, sender, options, results):
        path = f"/org/freedesktop/portal/desktop/request/{sender[1:].replace('.', '_')}/{options['handle_token']}"
        request = Request(BUS, path)
        GLib.timeout_add(20, lambda: request.Response(dbus.UInt32(0), dbus.Dictionary(results, signature="sv")))
        return path

    @dbus.service.method(SHORTCUTS, in_signature="a{sv}", out_signature="o", sender_keyword="sender")
    def CreateSession(self, options, sender=None):
        self.session = f"/org/freedesktop/portal/desktop/session/{options['session_handle_token']}"
        return self.answer(sender, options, {"other": dbus.Array([1], signature="i"), "session_handle": dbus.String(self.session)})

    @dbus.service.method(SHORTCUTS, in_signature="oa(sa{sv})sa{sv}", out_signature="o", sender_keyword="sender")
    def BindShortcuts(self, session, shortcuts, parent, options, sender=None):
        assert session == self.session and parent == ""
        self.shortcut, wanted = shortcuts[0]
        print(f"{self.shortcut}: {wanted['description']} {wanted['preferred_trigger']}", flush=True)
        granted = dbus.Dictionary({"description": wanted["description"], "trigger_description": "Press Ctrl and Alt and Pause"}, signature="sv")
        return self.answer(sender, options, {"shortcuts": dbus.Array([dbus.Struct((self.shortcut, granted))], signature="(sa{sv})")})

    @dbus.service.signal(SHORTCUTS, signature="osta{sv}")
    def Activated(self, session, shortcut, when, options):
        pass


portal = Portal(BUS, "/org/freedesktop/portal/desktop")
NAME = dbus.service.BusName("org.freedesktop.portal.Desktop", BUS)
GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGUSR1,
                     lambda: portal.Activated(dbus.ObjectPath(portal.session), portal.shortcut, dbus.UInt64(1), dbus.Dictionary({}, signature="sv")) or True)
print("ready", flush=True)
GLib.MainLoop().run()
