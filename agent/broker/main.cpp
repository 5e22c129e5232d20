#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>

#include "agent/broker/archive_reader.h"
#include "agent/broker/broker.h"
#include "platform/base/log.h"
#include "platform/confine.h"
#include "platform/folder.h"
#include "platform/http_client.h"
#include "platform/service_host.h"
#include "platform/stream.h"
#include "protocol/version.h"

namespace {

constexpr int kUsage = 64, kOwnFailure = 70;

constexpr const char* kHelp = "millwright-broker: does what runners ask for, each request checked against the grants. Started by millwright-keeper, not by people.\n"
                              "usage: millwright-broker [--keep-out DIR]   (descriptor 3 is its channel; nothing in DIR is ever read or written)\n"
                              "       millwright-broker --helper archive-verify   (descriptor 3 is the archive)\n"
                              "       millwright-broker --version\n";

int serve(const std::string& kept_out)
{
    mill::platform::hide_memory();
    mill::platform::allow_many_streams();
    mill::platform::ServiceHost host;
    // Without a data folder it serves a person's own run, whose words come between.
    mill::log::start("millwright-broker", kept_out.empty() ? mill::log::Level::warning : mill::log::Level::info);
    // What it reads comes from outside: it starts nothing but its helper, makes no namespace, looks into no other process.
    mill::Status confined = mill::platform::confine({.commands = true, .internet = true});
    if (confined && !kept_out.empty()) confined = mill::platform::keep_out_of(kept_out);
    if (!confined) {
        mill::log::error("broker", "{}", confined.error().what);
        return kOwnFailure;
    }
    // Its threads are shared by all attempts: they start before a thread confines itself to the files of one.
    (void)mill::platform::make_http_client({});
    mill::broker::Broker broker(mill::platform::Channel::from(mill::platform::Handle(3)));
    if (auto ok = broker.run(host.stop()); !ok) {
        mill::log::error("broker", "{}", ok.error().what);
        return 1;
    }
    return 0;
}

}  // namespace

int main(int count, char** values)
{
    try {
        const std::string_view first = count > 1 ? values[1] : "";
        if (count == 2 && first == "--version") {
            std::printf("millwright-broker %s\n", mill::protocol::kProgramVersion.data());
            return 0;
        }
        if (count == 2 && (first == "--help" || first == "-h")) return std::fputs(kHelp, stdout) < 0 ? 1 : 0;
        if (count == 3 && first == "--helper" && std::strcmp(values[2], "archive-verify") == 0) return mill::broker::archive_verify_helper();
        if (count == 1) return serve({});
        if (count == 3 && first == "--keep-out") return serve(values[2]);
        std::fprintf(stderr, "millwright-broker: '%s' is not understood\n%s", values[1], kHelp);
        return kUsage;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "millwright-broker: %s\n", error.what());
        return 1;
    }
}
