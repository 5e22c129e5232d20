// agent/broker/file_operations.h -- file.read, file.write and file.list in one folder, for broker and runner alike.
#pragma once

#include <string>
#include <string_view>

#include "agent/broker/message.h"
#include "platform/base/json.h"
#include "platform/folder.h"

namespace mill::broker {

inline constexpr std::size_t kMaxFileBytes = 8 * 1024 * 1024;
inline constexpr std::size_t kMaxListed = 10'000;
inline constexpr int kMaxListDepth = 32;

struct ReadRequest {
    std::string path;
    bool base64 = false;
};
struct WriteRequest {
    std::string path, bytes;
    platform::WriteMode mode = platform::WriteMode::create;
};
struct ListRequest {
    std::string path, pattern;
    bool recursive = false;
};
Outcome<ReadRequest> parse_read(const Json& with);
Outcome<WriteRequest> parse_write(const Json& with);
Outcome<ListRequest> parse_list(const Json& with);

/// `name` is relative to `folder`; request.path is what the result shows.
Outcome<Json> read_file(const platform::Folder& folder, std::string_view name, const ReadRequest& request);
Outcome<Json> write_file(const platform::Folder& folder, std::string_view name, const WriteRequest& request);
Outcome<Json> list_files(const platform::Folder& folder, std::string_view name, const ListRequest& request);

bool is_utf8(std::string_view bytes);

}  // namespace mill::broker
