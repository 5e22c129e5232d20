// factory/api/package_cache.h -- packages loaded for the check of inputs, the latest few.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "workflows/package.h"

namespace mill::factory {

/// Thread: any.
class PackageCache {
public:
    using Entry = std::shared_ptr<const workflows::Package>;
    Entry find(const std::string& digest);
    void add(const std::string& digest, Entry package);
    /// Reads and loads the file. Blocks: for the loading. Errors: those of the file and of load_archive.
    Result<Entry> load(const std::string& digest, const std::string& path);

private:
    std::mutex mutex_;
    std::list<std::pair<std::string, Entry>> order_;   // latest first
    std::unordered_map<std::string, std::list<std::pair<std::string, Entry>>::iterator> by_digest_;
};

}  // namespace mill::factory
