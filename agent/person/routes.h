// agent/person/routes.h -- DIR/person: what the faces of the agent (companion, page, terminal) ask and say over its local socket.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "agent/person/room.h"
#include "platform/local_http.h"

namespace mill::agent {

/// The routes as agent/person/README.md lists them. Errors are {detail} with 400, 403, 404, 405, 409, 410, 503.
platform::LaterHandler person_routes(PersonRoom& room);

/// DIR/person
std::string person_path(const std::string& data_folder);

/// The thread that answers parked GET /v1/changes whose time is over; it sleeps while nobody is parked.
class ChangesTimer {
public:
    ChangesTimer(Changes& changes, const Clock& clock);
    ~ChangesTimer();
    void look() { (void)poke_.try_send(true); }   ///< somebody is parked

private:
    Changes& changes_;
    const Clock& clock_;
    Mailbox<bool> poke_{4};
    std::jthread thread_;
};

/// The socket and what it needs, until it is let go. Errors: as serve_local_socket.
struct PersonSocket {
    std::unique_ptr<ChangesTimer> timer;
    std::unique_ptr<platform::LocalServer> server;   // goes first
};
Result<PersonSocket> serve_person(const std::string& data_folder, PersonRoom& room);

}  // namespace mill::agent
