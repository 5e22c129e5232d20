// A folder becomes a package. Apart from loading, for the runner's sake (archive_write.cpp).
#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "workflows/archive.h"
#include "workflows/check/check.h"
#include "workflows/manifest.h"
#include "workflows/package.h"

namespace mill::workflows {

Result<std::string> pack(const std::string& path, std::string_view version)
{
    Result<Package> package = load_package(path);
    if (!package) return fail(std::move(package.error()));
    check_into(*package);
    std::string errors;
    for (const Finding& finding : package->findings)
        if (finding.level == Finding::Level::error) errors += (errors.empty() ? "" : "\n") + finding.format();
    if (!errors.empty()) return fail(Errc::invalid, std::move(errors));
    if (!version.empty()) {
        if (!is_semantic_version(version)) return fail(Errc::invalid, fmt::format("'{}' is no semantic version", version));
        package->manifest.version = version;
    }
    return write_archive(dump_json(to_json(package->manifest)), package->assets);
}

std::string package_digest(std::string_view archive_bytes) { return "sha256:" + to_hex(platform::sha256(archive_bytes)); }

}  // namespace mill::workflows
