#include "factory/api/package_cache.h"

#include "platform/files.h"

namespace mill::factory {

constexpr std::size_t kKept = 32;
constexpr std::size_t kLargestPackage = 256 * 1024 * 1024;

PackageCache::Entry PackageCache::find(const std::string& digest)
{
    const std::scoped_lock lock(mutex_);
    const auto found = by_digest_.find(digest);
    if (found == by_digest_.end()) return {};
    order_.splice(order_.begin(), order_, found->second);
    return found->second->second;
}

void PackageCache::add(const std::string& digest, Entry package)
{
    const std::scoped_lock lock(mutex_);
    if (by_digest_.contains(digest)) return;
    order_.emplace_front(digest, std::move(package));
    by_digest_[digest] = order_.begin();
    while (order_.size() > kKept) {
        by_digest_.erase(order_.back().first);
        order_.pop_back();
    }
}

Result<PackageCache::Entry> PackageCache::load(const std::string& digest, const std::string& path)
{
    if (auto known = find(digest)) return known;
    auto bytes = platform::read_file(path, kLargestPackage);
    if (!bytes) return fail("package " + digest, bytes.error());
    auto package = workflows::load_archive(*bytes);
    if (!package) return fail("package " + digest, package.error());
    package->assets.clear();   // only the schemas are of use here
    package->program.reset();
    auto entry = std::make_shared<const workflows::Package>(std::move(*package));
    add(digest, entry);
    return entry;
}

}  // namespace mill::factory
