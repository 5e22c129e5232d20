#include "agent/packages.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "platform/files.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxPackage = 256 * 1024 * 1024;
constexpr std::string_view kPrefix = "sha256:";

Result<std::string> hex_of(const std::string& digest)
{
    const std::string hex = digest.starts_with(kPrefix) ? digest.substr(kPrefix.size()) : std::string();
    if (hex.size() != 64 || hex.find_first_not_of("0123456789abcdef") != std::string::npos)
        return fail(Errc::invalid, fmt::format("'{}' is no package digest", digest.substr(0, 100)));
    return hex;
}

}  // namespace

Result<std::string> package_path(const std::string& data_folder, const std::string& digest)
{
    auto hex = hex_of(digest);
    if (!hex) return fail(std::move(hex.error()));
    return data_folder + "/packages/" + *hex + ".mwp";
}

Packages::Packages(const std::string& data_folder, const Identity& identity, const Config& config)
    : folder_(data_folder + "/packages"), identity_(identity), quota_(config.package_quota),
      client_(platform::make_http_client(http_options(config, identity.factory_url)))
{
}

Result<std::string> Packages::get(const protocol::Offer& offer, std::stop_token stop)
{
    auto hex = hex_of(offer.package_digest);
    if (!hex) return fail(std::move(hex.error()));
    const std::string path = folder_ + "/" + *hex + ".mwp";
    if (auto digest = platform::sha256_file(path); digest) {
        if (to_hex(*digest) == *hex) {
            std::error_code ignored;
            fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);  // the least recently used goes first
            return path;
        }
        log::error("packages", "{} is damaged; it is fetched again", path);
    }
    if (auto made = platform::make_folder(folder_, 0755); !made) return fail(std::move(made.error()));
    platform::HttpRequest request;
    request.uri = identity_.factory_url + std::string(protocol::route::kPackages) + offer.package_digest;
    request.headers = {{"Authorization", "Bearer " + offer.attempt_token}};
    request.max_response = kMaxPackage;
    request.timeout = std::chrono::minutes(5);
    request.repeatable = true;
    auto response = client_->send(request, stop);
    if (!response) return fail("package", std::move(response.error()));
    if (response->status != 200) {
        const Errc code = response->status == 404                                ? Errc::not_found
                          : response->status == 401 || response->status == 403  ? Errc::denied
                                                                                : Errc::unavailable;
        return fail(code, fmt::format("package {} {}: the factory answered {}", offer.package_name, offer.package_version, response->status));
    }
    if (const std::string found = to_hex(platform::sha256(response->body)); found != *hex)
        return fail(Errc::corrupt, fmt::format("package {} {}: its bytes have the digest sha256:{} and should have {}", offer.package_name,
                                               offer.package_version, found, offer.package_digest));
    make_room();
    if (auto written = platform::write_file(path, response->body, 0644); !written) return fail("package", std::move(written.error()));
    return path;
}

void Packages::make_room()
{
    struct Item {
        fs::path path;
        fs::file_time_type used;
        std::uintmax_t size = 0;
    };
    std::vector<Item> items;
    std::uintmax_t total = 0;
    std::error_code error;
    for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
        std::error_code ignored;
        items.push_back({at->path(), at->last_write_time(ignored), at->file_size(ignored)});
        total += items.back().size;
    }
    std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.used < b.used; });
    const auto in_use = fs::file_time_type::clock::now() - std::chrono::minutes(10);
    for (const Item& item : items) {
        if (total <= quota_.bytes || item.used > in_use) return;
        if (fs::remove(item.path, error)) total -= std::min(total, item.size);
    }
}

}  // namespace mill::agent
