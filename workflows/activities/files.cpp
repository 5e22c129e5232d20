#include "workflows/activities/contract.h"

namespace mill::workflows {

void add_files(std::vector<Activity>& out)
{
    using namespace contract;
    const Json encodings = Json::array({"utf-8", "base64"});
    out.push_back({"file.list", "The entries of a folder.", "file.list",
                   object({{"path", granted("files.read", "the folder: relative in the job's workspace, absolute where granted")},
                           {"pattern", text("names to keep, such as *.csv")},
                           {"recursive", boolean("folders below it, too")}}, Json::array({"path"})),
                   object({{"entries", typed("array", "each {path, name, size, type, modified}")}}, {}, false),
                   {"files.read"}, example("file.list", Json::object({{"path", "/srv/exports"}, {"pattern", "*.csv"}}))});
    out.push_back({"file.read", "The content of a file.", "file.read",
                   object({{"path", granted("files.read", "the file")}, {"encoding", one_of("utf-8 unless told", encodings)}}, Json::array({"path"})),
                   object({{"content", text("text, or base64")}, {"size", integer("bytes")}}, {}, false),
                   {"files.read"}, example("file.read", Json::object({{"path", "/srv/exports/orders.csv"}}))});
    out.push_back({"file.write", "Writes a file, whole or not at all.", "file.write",
                   object({{"path", granted("files.write", "the file")},
                           {"content", text("text, or base64")},
                           {"encoding", one_of("utf-8 unless told", encodings)},
                           {"mode", one_of("create: it must not exist; replace (unless told): written anew; append", Json::array({"create", "replace", "append"}))}},
                          Json::array({"path", "content"})),
                   object({{"path", text("as written")}, {"size", integer("bytes")}}, {}, false),
                   {"files.write"}, example("file.write", Json::object({{"path", "/srv/reports/today.txt"}, {"content", "${ .report }"}}))});
}

}  // namespace mill::workflows
