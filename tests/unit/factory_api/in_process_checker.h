// tests/unit/factory_api/in_process_checker.h -- the real checks without their sandbox, for tests of what stands around them.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "factory/check/checker.h"

namespace mill::test {

/// What a test tells the checker, and what it sees; outlives restarts.
struct CheckerTrick {
    std::atomic<bool> full = false;            ///< nothing more is taken
    std::atomic<int> packages = 0, files = 0, inputs = 0;
    std::mutex mutex;
    std::optional<Error> answer;               ///< in place of every check
};

/// Answers on the caller's thread.
class InProcessChecker final : public factory::PackageChecker {
public:
    explicit InProcessChecker(std::shared_ptr<CheckerTrick> trick) : trick_(std::move(trick)) {}
    bool check_package(std::string_view bytes, PackageDone done) override;
    bool check_package_file(std::string path, PackageDone done) override;
    bool check_input(Json schema, Json value, InputDone done) override;
    std::string problem() const override;

private:
    std::optional<Error> answer() const;
    std::shared_ptr<CheckerTrick> trick_;   // shared with the test
};

}  // namespace mill::test
