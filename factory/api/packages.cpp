#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "factory/api/checks.h"
#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/crypto.h"
#include "platform/files.h"
#include "platform/fingerprint.h"
#include "protocol/canary.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kMostInDetail = 10;   // of findings; all are in the member `findings`

/// "sha256:HEX" from ?digest=, Digest (RFC 3230) or Content-Digest (RFC 9530). Errors: invalid.
Result<std::string> stated_digest(const HttpCall& call)
{
    const auto valid = [](std::string_view text) { return text.starts_with("sha256:") && text.size() == 71 && from_hex(text.substr(7)).has_value(); };
    if (const auto query = call.query_value("digest"); !query.empty()) {
        if (!valid(query)) return fail(Errc::invalid, fmt::format("query 'digest' must be sha256: and 64 hexadecimal digits; found '{}'", query.substr(0, 100)));
        return std::string(query);
    }
    for (const std::string_view header : {"digest", "content-digest"}) {
        std::string_view value = call.header(header);
        if (value.empty()) continue;
        std::string algorithm(value.substr(0, 8));
        for (char& c : algorithm)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (algorithm != "sha-256=") return fail(Errc::invalid, fmt::format("header {} must be sha-256=BASE64; found '{}'", header, value.substr(0, 100)));
        value.remove_prefix(8);
        if (value.size() > 2 && value.front() == ':' && value.back() == ':') value = value.substr(1, value.size() - 2);
        const auto bytes = from_base64(value);
        if (!bytes || bytes->size() != 32) return fail(Errc::invalid, fmt::format("header {} does not hold 32 bytes in base64", header));
        return "sha256:" + to_hex(*bytes);
    }
    return fail(Errc::invalid, "the digest of the bytes is needed: header 'Digest: sha-256=BASE64' or query '?digest=sha256:HEX'");
}

void store_checked(Service& service, const CallPtr& call, const std::string& digest, const CheckedPackage& package)
{
    Json findings = Json::array();
    std::string detail;
    std::size_t errors = 0;
    for (const auto& finding : package.findings) {
        findings.push(Json(finding.text));
        if (!finding.error || ++errors > kMostInDetail) continue;
        detail += (detail.empty() ? "" : "; ") + finding.text;
    }
    if (errors > kMostInDetail) detail += fmt::format("; and {} more", errors - kMostInDetail);
    if (!package.valid) return reply_problem(*call, 400, fmt::format("the package is not valid: {}", detail), "package", Json::object({{"findings", findings}}));
    const std::string name = (*call)["name"], version = (*call)["version"];
    if (package.manifest.name != name || package.manifest.version != version)
        return reply_problem(*call, 400, fmt::format("the address says {}@{}, the package itself {}@{}", name, version, package.manifest.name,
                                                     package.manifest.version), "package");
    service.inputs.add(digest, package.inputs);
    const bool known = service.core.reader()->package(name, version).has_value();
    const PackageState state = flag_of(*call, "draft") ? PackageState::draft : PackageState::released;
    service.core.put_package(name, version, std::move(call->http.body), workflows::to_json(package.manifest), package.inputs, state, call->who(),
                             [call, known, findings](const Result<PackageRecord>& stored) {
        if (!passed(*call, stored)) return;
        Json out = package_json(*stored);
        if (!findings.empty()) out.set("findings", findings);
        reply(*call, known ? 200 : 201, out);
    });
}

/// On the worker: reading all the bytes once takes a while.
void compare_and_check(Service& service, const CallPtr& call, const std::string& stated)
{
    const std::string found = "sha256:" + to_hex(platform::sha256(call->http.body));
    if (found != stated)
        return reply_problem(*call, 422, fmt::format("the bytes that arrived have the digest {}, {} was announced: upload them again", found, stated), "digest",
                             Json::object({{"expected", Json(stated)}, {"found", Json(found)}}));
    const bool taken = service.checker->check_package(call->http.body, [&service, call, found](const Result<CheckedPackage>& package) {
        if (!package) return reply_unchecked(*call, "the package", package.error(), 400, "package");
        store_checked(service, call, found, *package);
    });
    if (!taken) reply_checks_full(*call);
}

}  // namespace

void put_package(Service& service, const CallPtr& call)
{
    if ((*call)["name"] == protocol::kCanaryName) return reply_problem(*call, 409, fmt::format("package '{}' is the factory's own: choose another name", protocol::kCanaryName), "reserved");
    auto digest = stated_digest(call->http);
    if (!passed(*call, digest)) return;
    if (call->http.body.empty()) return reply_problem(*call, 400, "the body is empty; expected the bytes of a .mwp", "package");
    if (!service.worker.post([&service, call, stated = std::move(*digest)] { compare_and_check(service, call, stated); })) reply_checks_full(*call);
}

/// The version with its signatures; without any it is as ever.
static Json with_signatures(Reader& reader, const PackageRecord& package)
{
    Json out = package_json(package);
    const auto signatures = reader.signatures(package.digest);
    const auto publishers = reader.documents("Publisher");
    if (signatures && publishers && !signatures->empty()) out.set("signatures", signatures_json(*signatures, *publishers));
    return out;
}

void sign_package(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, false, 8);
    if (!json) return;
    const std::string name = (*call)["name"], version = (*call)["version"];
    auto file = protocol::parse_signature_file(*json, "signatures");
    if (!passed(*call, file)) return;
    if (file->name != name || file->version != version)
        return reply_problem(*call, 400, fmt::format("the address says {}@{}, the signatures are of {}@{}", name, version, file->name, file->version), "signature");
    const auto package = service.core.reader()->package(name, version);
    if (!passed(*call, package)) return;
    if (file->digest != package->digest)
        return reply_problem(*call, 409, fmt::format("the signatures are of bytes with the digest {}; {}@{} is {}", file->digest, name, version, package->digest), "signature");
    for (const auto& each : file->signatures)
        if (!platform::verify(each.key, protocol::package_statement(name, version, package->digest, each.manifest), each.bytes))
            return reply_problem(*call, 422, fmt::format("the signature by key {} does not fit {}@{} with digest {} and manifest {}", platform::fingerprint(each.key), name, version,
                                                         package->digest, each.manifest), "signature");
    service.core.sign_package(name, version, std::move(file->signatures), call->who(), [&service, call](const Result<PackageRecord>& stored) {
        if (passed(*call, stored)) reply(*call, 200, with_signatures(*service.core.reader(), *stored));
    });
}

static void reply_packages(Service& service, const CallPtr& call, std::string_view name)
{
    const auto reader = service.core.reader();
    auto packages = reader->packages();
    if (!passed(*call, packages)) return;
    const auto signatures = reader->signatures();
    if (!passed(*call, signatures)) return;
    const auto publishers = reader->documents("Publisher");
    if (!passed(*call, publishers)) return;
    std::map<std::string, std::vector<SignatureRecord>> by_digest;
    for (const SignatureRecord& each : *signatures) by_digest[each.digest].push_back(each);
    Json items = Json::array();
    for (const PackageRecord& each : *packages)
        if (name.empty() || each.name == name) {
            Json item = package_json(each);
            if (const auto found = by_digest.find(each.digest); found != by_digest.end()) item.set("signatures", signatures_json(found->second, *publishers));
            items.push(std::move(item));
        }
    if (!name.empty() && items.empty()) return reply_problem(*call, 404, fmt::format("package '{}' is not there", name));
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

void list_packages(Service& service, const CallPtr& call) { reply_packages(service, call, {}); }
void list_versions(Service& service, const CallPtr& call) { reply_packages(service, call, (*call)["name"]); }

void get_package(Service& service, const CallPtr& call)
{
    auto package = service.core.reader()->package((*call)["name"], (*call)["version"]);
    if (passed(*call, package)) reply(*call, 200, with_signatures(*service.core.reader(), *package));
}

void set_package_state(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "state");
    const std::string text = fields.text("state"), reason = fields.text("reason", "");
    const auto state = parse_package_state(text);
    if (!text.empty() && !state) fields.mistake("state", fmt::format("must be one of draft, released, deprecated, decommissioned; found '{}'", text.substr(0, 100)));
    if (reason.size() > 1000) fields.mistake("reason", "is longer than 1000 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    service.core.set_package_state((*call)["name"], (*call)["version"], *state, reason, call->who(), [call](const Result<PackageRecord>& stored) {
        if (passed(*call, stored)) reply(*call, 200, package_json(*stored));
    });
}

void get_archive(Service& service, const CallPtr& call)
{
    auto package = service.core.reader()->package((*call)["name"], (*call)["version"]);
    if (!passed(*call, package)) return;
    auto bytes = platform::read_file(service.core.package_path(package->digest), 256 * 1024 * 1024);
    if (!passed(*call, bytes)) return;
    HttpReply out;
    out.content_type = "application/zip";
    out.headers = {{"Content-Disposition", fmt::format("attachment; filename=\"{}-{}.mwp\"", package->name, package->version)}};
    out.body = std::move(*bytes);
    call->responder.reply(std::move(out));
}

}  // namespace mill::factory::handler
