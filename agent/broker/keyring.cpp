#include "agent/broker/keyring.h"

#include <cstdlib>

#include <fmt/format.h>

#include "platform/files.h"
#include "platform/process.h"
#include "platform/secret_store.h"

namespace mill::broker {
namespace {

constexpr const char* kSecretTool = "/usr/bin/secret-tool";
constexpr std::chrono::seconds kPersonsTime{20};

}  // namespace

bool has_keyring()
{
    return !platform::is_root() && std::getenv("DBUS_SESSION_BUS_ADDRESS") != nullptr && platform::exists(kSecretTool);
}

Result<std::string> look_in_keyring(const std::string& name, std::stop_token stop)
{
    platform::ProcessSpec spec;
    spec.program = kSecretTool;
    spec.arguments = {"lookup", "millwright", name};  // the value comes on its standard output, into a pipe
    spec.environment = platform::environment_for_children();
    auto ran = platform::run_process(spec, {}, platform::kMaxSecretFile, kPersonsTime, stop);
    if (!ran) return fail("the keyring", std::move(ran.error()));
    if (ran->ending.cancelled) return fail(Errc::cancelled, "the keyring was not waited for");
    if (ran->ending.timed_out) return fail(Errc::timeout, "the keyring did not answer: unlock it and try again");
    if (ran->dropped > 0) return fail(Errc::too_large, "what the keyring holds is too large");
    if (ran->ending.signal != 0 || ran->ending.exit_code != 0 || ran->out.empty())
        return fail(Errc::not_found, fmt::format("neither a file nor the keyring has it: secret-tool store --label={0} millwright {0}", name));
    return std::move(ran->out);
}

}  // namespace mill::broker
