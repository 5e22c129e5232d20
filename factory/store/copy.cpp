#include "factory/store/copy.h"

#include "factory/store/sqlite.h"
#include "platform/append_file.h"
#include "platform/files.h"

namespace mill::factory {

Status copy_database(const std::string& folder, const std::string& file)
{
    const std::string path = folder + "/factory.db";
    if (!platform::exists(path)) return fail(Errc::not_found, path + " is not there: --data names the folder of a factory");
    if (platform::exists(file)) return fail(Errc::conflict, file + " is there already");
    {
        auto made = platform::AppendFile::open(file, 0600);   // SQLite fills an empty file, and keeps its mode
        if (!made) return fail(std::move(made.error()));
    }
    sqlite::Database db;
    if (auto ok = db.open(path, false); !ok) return fail(path, ok.error());
    if (auto ok = db.run("vacuum into ?1", file); !ok) return fail(path, ok.error());
    auto made = platform::AppendFile::open(file, 0600);
    if (!made) return fail(std::move(made.error()));
    return made->sync();
}

}  // namespace mill::factory
