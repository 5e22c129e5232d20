// tests/support/package_folder.h -- a folder of a package that goes when the test is over, and what `check` says of it.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <unistd.h>

#include <fmt/format.h>

#include "workflows/check/check.h"

namespace mill::testing {

class PackageFolder {
public:
    PackageFolder() : path_(std::filesystem::temp_directory_path() / fmt::format("mill-check-{}-{}", ::getpid(), ++count_)) { std::filesystem::create_directories(path_); }
    ~PackageFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    PackageFolder(const PackageFolder&) = delete;
    PackageFolder& operator=(const PackageFolder&) = delete;

    PackageFolder& file(const std::string& name, const std::string& text)
    {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name) << text;
        return *this;
    }
    std::string read(const std::string& name) const
    {
        std::stringstream out;
        out << std::ifstream(path_ / name).rdbuf();
        return out.str();
    }
    std::string path() const { return path_.string(); }

private:
    static inline int count_ = 0;
    std::filesystem::path path_;
};

/// All findings of loading and checking, one a line: "FILE:LINE:COLUMN: [warning: ]message [code]".
inline std::string all_findings(workflows::Package package)
{
    workflows::check_into(package);
    std::string out;
    for (const auto& finding : package.findings) out += fmt::format("{} [{}]\n", finding.format(), finding.code);
    return out;
}

}  // namespace mill::testing
