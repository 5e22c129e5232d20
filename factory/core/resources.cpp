#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/ids.h"
#include "platform/base/encode.h"
#include "platform/crypto.h"

namespace mill::factory::core {
namespace {

/// The first document that would dangle without (kind, name), as "trigger 'x'".
Result<std::string> user_of(Reader& read, std::string_view kind, std::string_view name)
{
    struct Use {
        std::string_view kind, by, member;
    };
    constexpr Use kUses[] = {{"Environment", "Deployment", "environment"}, {"Deployment", "Trigger", "deployment"},
                             {"Trigger", "Notifier", "trigger"},           {"Deployment", "Notifier", "deployment"},
                             {"Environment", "Notifier", "environment"}};
    for (const Use& use : kUses) {
        if (use.kind != kind) continue;
        const auto documents = read.documents(use.by);
        if (!documents) return fail(documents.error());
        for (const Document& document : *documents)
            if (document.spec[use.member].as_string() == name) return fmt::format("{} '{}'", use.by, document.name);
    }
    if (kind == "Publisher") {
        const auto environments = read.documents("Environment");
        if (!environments) return fail(environments.error());
        for (const Document& environment : *environments)
            for (const Json& publisher : environment.spec["requireSigned"].as_array())
                if (publisher.as_string() == name) return fmt::format("Environment '{}'", environment.name);
    }
    if (kind != "Calendar" && kind != "Trigger" && kind != "Deployment") return std::string();
    const auto triggers = read.documents("Trigger");
    if (!triggers) return fail(triggers.error());
    for (const Document& trigger : *triggers) {
        const Json& job = trigger.spec["event"]["job"];
        if (job[kind == "Trigger" ? "trigger" : "deployment"].as_string() == name && kind != "Calendar") return fmt::format("Trigger '{}'", trigger.name);
    }
    if (kind != "Calendar") return std::string();
    for (const Document& trigger : *triggers)
        for (const Json& calendar : trigger.spec["schedule"]["calendars"].as_array())
            if (calendar.as_string() == name) return fmt::format("Trigger '{}'", trigger.name);
    return std::string();
}

/// Without its document anybody who may write one could make the environment anew, for everybody, and have what belongs to it.
Status keeps_credentials(Reader& read, const std::string& environment)
{
    const auto credentials = read.credentials();
    if (!credentials) return fail(credentials.error());
    std::string names;
    std::size_t count = 0;
    for (const CredentialRecord& one : *credentials)
        if (one.about["environment"].as_string() == environment && ++count <= 10) names += fmt::format("{}'{}'", names.empty() ? "" : ", ", one.name);
    if (count == 0) return {};
    return fail(Errc::conflict, fmt::format("{} credential{} belong{} to Environment '{}' (`environment:`): {}{}: remove them first, or put them elsewhere", count, count == 1 ? "" : "s", count == 1 ? "s" : "",
                                            environment, names, count > 10 ? " …" : ""));
}

/// Jobs of two environments never share a user: what one leaves behind on a machine the other must not find.
Status uses_user_alone(Reader& read, std::string_view kind, std::string_view name, const Json& spec)
{
    const std::string& user = spec["runAs"].as_string();
    if (kind != "Environment" || user.empty()) return {};
    const auto others = read.documents("Environment");
    if (!others) return fail(others.error());
    for (const Document& other : *others)
        if (other.name != name && other.spec["runAs"].as_string() == user)
            return fail(Errc::conflict, fmt::format("environment '{}' runs its jobs as '{}' already: each environment has a user of its own", other.name, user));
    return {};
}

}  // namespace

Result<Document> CoreImpl::put_one(const DocumentChange& change, const Who& who)
{
    const auto& [kind, name, spec, expected] = change;
    auto known = writer_.read().document(kind, name);
    if (!known && known.error().code != Errc::not_found) return fail(known.error());
    if (expected != 0 && (!known || known->generation != expected))
        return fail(Errc::conflict, fmt::format("{} '{}' has generation {}, not {}", kind, name, known ? known->generation : 0, expected));
    if (known && known->spec == spec) return *known;
    if (auto alone = uses_user_alone(writer_.read(), kind, name, spec); !alone) return fail(alone.error());
    if (kind == "Trigger" || kind == "Calendar")  // what was due until now is decided by what stood until now
        if (auto ok = tick_schedules(clock_.now()); !ok) return fail(ok.error());
    std::optional<Document> before;
    if (known) before = std::move(*known);
    auto document = write_document(before, kind, name, spec, who, "put", {.time = clock_.now(), .who = who.name, .what = "applied", .from = {}, .to = {}, .why = {}, .spec = {}});
    if (document)
        if (auto ok = begin_trial(before, *document, who); !ok) return fail(ok.error());
    return document;
}

void CoreImpl::put_document(std::string kind, std::string name, Json spec, std::uint64_t expected, Who who, Done<Document> done)
{
    put_documents({{std::move(kind), std::move(name), std::move(spec), expected}}, std::move(who), std::move(done));
}

void CoreImpl::put_documents(std::vector<DocumentChange> changes, Who who, Done<Document> done)
{
    queue_.submit<Document>(std::move(done), [=, this]() -> Result<Document> {
        std::optional<Document> first;
        for (const DocumentChange& change : changes) {   // all is written before memory changes
            auto document = put_one(change, who);
            if (!document) return document;
            if (!first) first = std::move(*document);
        }
        if (!first) return fail(Errc::internal, "no document to write");
        for (const DocumentChange& change : changes)
            if (change.kind == "Environment") board_.put_environment(dispatch::read_environment(change.name, change.spec));
        documents_changed();
        for (const DocumentChange& change : changes)
            if (auto ok = probe_now(change.kind, change.name); !ok) return fail(ok.error());
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return std::move(*first);
    });
}

void CoreImpl::set_source(std::string kind, std::string name, std::string source, Who who, Done<Document> done)
{
    queue_.submit<Document>(std::move(done), [=, this]() -> Result<Document> {
        auto known = writer_.read().document(kind, name);
        if (!known || known->source == source) return known;
        const Json detail = Json::object({{"from", known->source}, {"to", source}});
        known->source = source;
        if (auto ok = writer_.put_document(*known); !ok) return fail(ok.error());
        if (auto ok = audit(who, "source", kind, name, detail); !ok) return fail(ok.error());
        return known;
    });
}

void CoreImpl::delete_document(std::string kind, std::string name, std::uint64_t expected, Who who, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [=, this]() -> Result<Nothing> {
        const auto known = writer_.read().document(kind, name);
        if (!known) return fail(known.error());
        if (expected != 0 && known->generation != expected)
            return fail(Errc::conflict, fmt::format("{} '{}' has generation {}, not {}", kind, name, known->generation, expected));
        const auto user = user_of(writer_.read(), kind, name);
        if (!user) return fail(user.error());
        if (!user->empty()) return fail(Errc::conflict, fmt::format("{} uses {} '{}'", *user, kind, name));
        if (kind == "Environment")
            if (auto kept = keeps_credentials(writer_.read(), name); !kept) return fail(kept.error());
        if (auto ok = writer_.delete_document(kind, name); !ok) return fail(ok.error());
        if (kind == "Trigger")
            if (auto ok = writer_.delete_schedule(known->uid); !ok) return fail(ok.error());
        if (kind == "Deployment") {
            if (auto ok = writer_.delete_version_moves(known->uid); !ok) return fail(ok.error());
            if (auto ok = end_trial(name); !ok) return fail(ok.error());
        }
        if (kind == "Trigger" || kind == "Environment") {   // another one of the same name has tokens of its own
            const auto tokens = writer_.read().tokens(kind == "Trigger" ? "trigger" : "env", name);
            if (!tokens) return fail(tokens.error());
            for (const TokenRecord& one : *tokens)
                if (auto ok = writer_.delete_token(one.id); !ok) return fail(ok.error());
        }
        if (auto ok = audit(who, "delete", kind, name); !ok) return fail(ok.error());
        if (auto ok = feed({.time = clock_.now(), .kind = "resource", .subject = kind + "/" + name, .what = "deleted", .agent = {}, .reason = {}, .detail = {}}); !ok)
            return fail(ok.error());
        if (kind == "Environment") board_.remove_environment(name);
        documents_changed();
        if (kind == "Trigger" && known->spec["type"].as_string() == "attended") news_for_people();
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return Nothing{};
    });
}

void CoreImpl::put_package(std::string name, std::string version, std::string bytes, Json manifest, Json inputs, PackageState state, Who who, Done<PackageRecord> done)
{
    const std::string digest = "sha256:" + to_hex(platform::sha256(bytes));   // on the caller's thread
    auto content = std::make_shared<std::string>(std::move(bytes));           // shared: a function value must be copyable
    queue_.submit<PackageRecord>(std::move(done), [=, this]() -> Result<PackageRecord> {
        const auto known = writer_.read().package(name, version);
        if (known && known->digest == digest) return *known;
        if (known)
            return fail(Errc::conflict, fmt::format("package {}@{} exists with other bytes ({}): a version never changes, publish the next one", name,
                                                    version, known->digest));
        if (known.error().code != Errc::not_found) return fail(known.error());
        PackageRecord record{.name = name, .version = version, .digest = digest, .size = content->size(), .manifest = manifest,
                             .created = clock_.now(), .created_by = who.name, .state = state};
        if (auto ok = writer_.put_package(record, *content); !ok) return fail(ok.error());
        if (!inputs.is_null())
            if (auto ok = writer_.put_package_inputs(digest, inputs); !ok) return fail(ok.error());
        if (auto ok = audit(who, "put", "Package", name + "@" + version, Json::object({{"digest", digest}, {"state", factory::name(state)}})); !ok) return fail(ok.error());
        if (auto ok = feed({.time = record.created, .kind = "package", .subject = name + "@" + version, .what = "put", .agent = {}, .reason = {}, .detail = {}}); !ok)
            return fail(ok.error());
        documents_changed();
        return record;
    });
}

void CoreImpl::put_package_inputs(std::string digest, Json inputs, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [=, this]() -> Result<Nothing> {
        if (auto ok = writer_.put_package_inputs(digest, inputs); !ok) return fail(ok.error());
        return Nothing{};
    });
}

std::string CoreImpl::package_path(std::string_view digest) const
{
    return fmt::format("{}/packages/{}.mwp", store_->folder(), digest.starts_with("sha256:") ? digest.substr(7) : digest);
}

void CoreImpl::put_credential(std::string name, Json about, std::string sealed, Who who, Done<CredentialRecord> done)
{
    queue_.submit<CredentialRecord>(std::move(done), [=, this]() -> Result<CredentialRecord> {
        const auto known = writer_.read().credential(name);
        if (!known && known.error().code != Errc::not_found) return fail(known.error());
        CredentialRecord record{.name = name, .about = about, .sealed = sealed, .generation = known ? known->generation + 1 : 1,
                                .created = known ? known->created : clock_.now(), .changed = clock_.now()};
        if (auto ok = writer_.put_credential(record); !ok) return fail(ok.error());
        if (auto ok = audit(who, "put", "Credential", name, Json::object({{"generation", record.generation}})); !ok) return fail(ok.error());
        documents_changed();  // who holds it may be another now
        if (auto ok = probe_now("Credential", name); !ok) return fail(ok.error());
        return record;
    });
}

void CoreImpl::delete_credential(std::string name, Who who, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [=, this]() -> Result<Nothing> {
        if (auto known = writer_.read().credential(name); !known) return fail(known.error());
        if (auto ok = writer_.delete_credential(name); !ok) return fail(ok.error());
        if (auto ok = audit(who, "delete", "Credential", name); !ok) return fail(ok.error());
        return Nothing{};
    });
}

void CoreImpl::put_token(TokenRecord token, Who who, Done<TokenRecord> done)
{
    queue_.submit<TokenRecord>(std::move(done), [=, this]() mutable -> Result<TokenRecord> {
        if (token.created.microseconds == 0) token.created = clock_.now();
        if (auto ok = writer_.put_token(token); !ok) return fail(ok.error());
        // Agents renew theirs each hour: not a change that anybody made.
        if (token.kind == "user" || token.kind == "admin") news_for_people(token.subject);   // roles say what is assigned to whom
        if (token.kind != "agent")
            if (auto ok = audit(who, "put", "Token", token.id, Json::object({{"kind", token.kind}, {"subject", token.subject}})); !ok) return fail(ok.error());
        return token;
    });
}

void CoreImpl::delete_token(std::string id, Who who, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [=, this]() -> Result<Nothing> {
        const auto known = writer_.read().token(id);
        if (!known) return fail(known.error());
        if (auto ok = writer_.delete_token(id); !ok) return fail(ok.error());
        if (known->kind == "user" || known->kind == "admin") news_for_people(known->subject);
        if (auto ok = audit(who, "delete", "Token", id, Json::object({{"kind", known->kind}, {"subject", known->subject}})); !ok) return fail(ok.error());
        return Nothing{};
    });
}

void CoreImpl::touch_token(std::string id)
{
    const WallTime now = clock_.now();
    {
        const std::scoped_lock lock(touch_mutex_);
        if (touched_.size() > 10'000) touched_.clear();
        const auto [entry, added] = touched_.try_emplace(id, now);
        if (!added && now - entry->second < std::chrono::minutes(1)) return;
        entry->second = now;
    }
    queue_.submit<Nothing>({}, [this, id = std::move(id), now]() -> Result<Nothing> {
        if (auto ok = writer_.touch_token(id, now); !ok) return fail(ok.error());
        return Nothing{};
    });
}

void CoreImpl::put_code(CodeRecord code, Who who, Done<CodeRecord> done)
{
    queue_.submit<CodeRecord>(std::move(done), [=, this]() mutable -> Result<CodeRecord> {
        if (code.created.microseconds == 0) code.created = clock_.now();
        code.created_by = who.name;
        if (auto ok = writer_.put_code(code); !ok) return fail(ok.error());
        if (auto ok = audit(who, "put", "EnrolmentCode", code.id, code.terms); !ok) return fail(ok.error());
        return code;
    });
}

}  // namespace mill::factory::core
