// factory/store/value_files.h -- texts too long for a row, each a file of its own. factory/store/ only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "factory/store/sqlite.h"

namespace mill::factory::sqlite {

/// A text of more than this is a file; its column holds "@NAME" (no JSON begins so), and `files` the name with the job it belongs to.
inline constexpr std::size_t kLongText = 64 * 1024;
inline constexpr std::size_t kMostText = 64 * 1024 * 1024;

/// The text of a column, from its file where it is one. `folder`: the store's. Errors: corrupt (says which file and which job).
Result<std::string> whole_text(const std::string& folder, std::string_view column);
/// The same as a value; null when it is none.
Result<Json> whole_json(const std::string& folder, const Rows& rows, int column);

/// Makes such files within a transaction. One thread.
class ValueFiles {
public:
    ValueFiles(Database& db, std::string folder) : db_(db), folder_(std::move(folder)) {}
    /// What goes into the column: the text itself, or the name of its file, which is durable now. An empty text is empty.
    Result<std::string> keep(std::int64_t job, std::string text);
    void settled() { fresh_.clear(); }   ///< the transaction was committed
    void undone();                       ///< it was not: its files go

private:
    Database& db_;
    std::string folder_;
    std::vector<std::string> fresh_;
};

}  // namespace mill::factory::sqlite
