#include "cli/publishing.h"

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/files.h"
#include "workflows/check/check.h"

namespace mill::cli {

namespace {
constexpr std::size_t kMaxPackage = 256 * 1024 * 1024;

/// A file in the package that cannot be read, a damaged archive: wrong content, not a thing that the factory lacks or refuses.
template <class T> Result<T> in_package(Result<T> result)
{
    if (!result && result.error().code != Errc::too_large && result.error().code != Errc::internal) result.error().code = Errc::invalid;
    return result;
}

}  // namespace

Result<workflows::Package> read_package(const std::string& path) { return in_package(workflows::load_package(path)); }

Result<std::string> package_bytes(const std::string& path, std::string_view version)
{
    return in_package(path.ends_with(".mwp") && version.empty() ? platform::read_file(path, kMaxPackage) : workflows::pack(path, version));
}

std::vector<std::string> secret_warnings(const std::string& path)
{
    std::vector<std::string> out;
    Result<workflows::Package> package = read_package(path);
    if (!package) return out;
    workflows::check_into(*package);
    for (const workflows::Finding& finding : package->findings)
        if (finding.code == "clear-secret") out.push_back(printable(finding.format()));
    return out;
}

Result<workflows::Manifest> manifest_in(const std::string& bytes) { return in_package(workflows::manifest_of(bytes)); }

Result<Published> publish(Api& api, const std::string& bytes, bool draft)
{
    const Result<workflows::Manifest> manifest = manifest_in(bytes);
    if (!manifest) return fail(manifest.error());
    const std::string digest = workflows::package_digest(bytes);
    const Result<std::string> raw = from_hex(std::string_view(digest).substr(digest.find(':') + 1));
    if (!raw) return fail("digest", raw.error());
    Call call{.method = "PUT", .path = join_path("/v1/packages", manifest->name, "/" + percent_encode(manifest->version))};
    if (draft) call.query.emplace_back("draft", "true");
    call.headers.emplace_back("Digest", "sha-256=" + to_base64(*raw));
    call.bytes = bytes;
    call.bytes_type = "application/octet-stream";
    call.timeout = std::chrono::minutes(5);
    const Result<platform::HttpResponse> answer = api.raw(call);
    if (!answer) return fail(answer.error());
    const std::string what = fmt::format("{} {}", manifest->name, manifest->version);
    if (answer->status >= 400) {
        Error error = error_of(answer->status, answer->body, what);
        if (const Result<Json> problem = parse_json(answer->body))
            for (const Json& finding : (*problem)["findings"].as_array()) error.what += "\n  " + finding.as_string();
        if (answer->status == 409) error.what += " (`version` in package.yaml)";
        return fail(std::move(error));
    }
    const Result<Json> package = parse_json(answer->body);
    if (!package) return fail(what, package.error());
    return Published{*package, answer->status == 200};
}

}  // namespace mill::cli
