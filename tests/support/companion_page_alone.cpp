// The person's page without the companion around it: `companion_page_alone SOCKET`. Says where it is, then a link for each line "WHAT ID".
#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>

#include "agent/companion/page_server.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"

using namespace mill;

int main(int argc, char** argv)
{
    if (argc != 2) return 64;
    const std::string socket = argv[1];
    auto page = companion::start_page({.forward = [&](const platform::LocalRequest& request, std::chrono::milliseconds wait) { return platform::call_local_socket(socket, request, wait); }});
    if (!page) {
        std::fprintf(stderr, "%s\n", page.error().what.c_str());
        return 1;
    }
    const std::jthread watch([&](const std::stop_token& stop) {
        std::int64_t version = 0;
        while (!stop.stop_requested()) {
            const auto said = platform::call_local_socket(socket, {.method = "GET", .target = "/v1/changes?after=" + std::to_string(version)}, std::chrono::seconds(1));
            const Result<Json> value = said ? parse_json(said->body) : fail(Error(said.error()));
            if (value && (*value)["version"].is_integer()) (*page)->changed(version = (*value)["version"].as_integer());
            else if (!said && said.error().code != Errc::timeout) {
                (*page)->changed(version = -1);
                system_clock().sleep(std::chrono::milliseconds(200), stop);
                version = 0;
            }
        }
    });
    std::cout << "page " << (*page)->address() << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string what, id;
        words >> what >> id;
        std::cout << (*page)->link(what, id) << std::endl;
    }
    return 0;
}
