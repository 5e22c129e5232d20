#include "agent/keeper_client.h"

#include <charconv>

namespace mill::agent {
namespace {

Errc code_of(std::string_view text)
{
    for (const Errc code : {Errc::invalid, Errc::denied, Errc::not_found, Errc::conflict, Errc::too_large, Errc::unavailable, Errc::timeout,
                            Errc::cancelled, Errc::corrupt, Errc::internal})
        if (name(code) == text) return code;
    return Errc::internal;
}

template <class Int>
bool number(const std::string& text, Int& out)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<KeeperMessage> read_keeper_message(platform::Message message)
{
    auto words = keeper::decode(message.text);
    if (!words) return fail("from the keeper", std::move(words.error()));
    if (words->empty()) return fail(Errc::corrupt, "the keeper sent no word");
    KeeperMessage out;
    const std::string& verb = words->front();
    const std::size_t count = words->size();
    if (count > 1) out.key = (*words)[1];
    if (message.handle.valid()) out.channel = platform::Channel::from(std::move(message.handle));
    const bool with_channel = out.channel.valid();
    if (verb == "started" && count >= 3 && with_channel) {
        out.kind = KeeperMessage::Kind::started;
        out.nonce = (*words)[2];
        out.notes.assign(words->begin() + 3, words->end());
    } else if (verb == "refused" && count == 4) {
        out.kind = KeeperMessage::Kind::refused;
        out.code = code_of((*words)[2]);
        out.why = (*words)[3];
    } else if (verb == "ended" && (count == 7 || count == 8)) {
        out.kind = KeeperMessage::Kind::ended;
        if (!number((*words)[2], out.end.exit) || !number((*words)[3], out.end.signal) || !number((*words)[5], out.end.cpu_ms) ||
            !number((*words)[6], out.end.peak_bytes))
            return fail(Errc::corrupt, "the keeper's 'ended' has a number that is none");
        out.end.flag = (*words)[4];
        if (count == 8) out.end.said = (*words)[7];
    } else if (verb == "held" && count == 2) {
        out.kind = KeeperMessage::Kind::held;
    } else if (verb == "before" && count == 2) {
        out.kind = KeeperMessage::Kind::before;
        out.why = (*words)[1];
    } else if (verb == "reload" && count == 1) {
        out.kind = KeeperMessage::Kind::reload;
    } else if (verb == "again" && count == 1) {
        out.kind = KeeperMessage::Kind::again;
    } else if (verb == "listed" && count == 1) {
        out.kind = KeeperMessage::Kind::listed;
    } else if (verb == "broker" && with_channel) {
        out.kind = KeeperMessage::Kind::broker;
    } else if (verb == "credentials") {
        out.kind = KeeperMessage::Kind::credentials;
        out.names.assign(words->begin() + 1, words->end());
    } else if (verb == "sealed" && (count == 2 || count == 3)) {
        out.kind = KeeperMessage::Kind::sealed;
        if (count == 3) out.why = (*words)[2];
    } else if (verb == "isolation" && count == 11) {
        out.kind = KeeperMessage::Kind::isolation;
        std::int64_t landlock = 0;
        (void)number((*words)[5], landlock);
        out.isolation = Json::object({{"userNamespaces", (*words)[1] == "1"},
                                      {"seccomp", (*words)[2] == "1"},
                                      {"memory", (*words)[3]},
                                      {"processes", (*words)[4]},
                                      {"landlock", landlock},
                                      {"proc", (*words)[7]},
                                      {"nesting", (*words)[8]},
                                      {"uid", (*words)[9]},
                                      {"services", (*words)[10]}});
        if (!(*words)[6].empty()) out.isolation.set("problem", (*words)[6]);
    } else {
        return fail(Errc::corrupt, "the keeper says '" + verb + "' with " + std::to_string(count) + " words");
    }
    return out;
}

Status KeeperClient::start(const std::string& key, const keeper::SandboxRequest& request)
{
    return say({"start", key, keeper::encode(request)});
}

Status KeeperClient::say(const keeper::Words& words)
{
    if (auto sent = channel_.send(keeper::encode(words)); !sent) return fail("to the keeper", std::move(sent.error()));
    return {};
}

Result<std::optional<KeeperMessage>> KeeperClient::receive(std::chrono::milliseconds wait)
{
    auto message = channel_.receive(wait);
    if (!message) return fail("from the keeper", std::move(message.error()));
    if (!*message) return std::optional<KeeperMessage>();
    auto read = read_keeper_message(std::move(**message));
    if (!read) return fail(std::move(read.error()));
    return std::optional<KeeperMessage>(std::move(*read));
}

}  // namespace mill::agent
