#include "recipes/engine/control_groups.h"

#include <fstream>
#include <sstream>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

/// Whether "cpu" is in "cpu,cpuacct".
bool is_listed(std::string_view names, std::string_view name) {
  return join_text(",", names, ",").find(join_text(",", name, ",")) != std::string::npos;
}

/// Where a hierarchy of control groups is seen, and which of its folders that is.
struct Mount {
  std::string root, point;
};
Mount mount_of(std::string_view controller, const std::string& root, bool unified) {
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {  // 36 35 98:0 /root /point options ... - type source super-options
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line), tail(line.substr(dash + 3));
    std::string number, parent, device, type, source, options;
    Mount mount;
    head >> number >> parent >> device >> mount.root >> mount.point;
    tail >> type >> source >> options;
    if (unified ? type == "cgroup2" : type == "cgroup" && is_listed(options, controller)) return mount;
  }
  return {};
}

}  // namespace

void visit_control_groups(std::string_view controller, const std::string& root,
                          const std::function<void(const std::string& folder, bool unified)>& visit) {
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string group; std::getline(groups, group);) {  // "0::/user.slice" of version 2, "4:cpu,cpuacct:/user.slice" of version 1
    const auto first = group.find(':'), second = group.find(':', first + 1);
    if (second == std::string::npos) continue;
    const bool unified = group.starts_with("0::");
    if (!unified && !is_listed(group.substr(first + 1, second - first - 1), controller)) continue;
    const Mount mount = mount_of(controller, root, unified);
    if (mount.point.empty()) continue;
    // A container may see its own group, or a part of the tree, as the root.
    const std::string path = group.substr(second + 1), top = root + mount.point, prefix = mount.root == "/" ? "" : mount.root;
    std::string folder = top + (path.starts_with(prefix) ? path.substr(prefix.size()) : "");
    for (;;) {
      visit(folder, unified);
      if (folder.size() <= top.size()) break;
      folder.resize(folder.rfind('/'));
    }
  }
}

}  // namespace capstan::engine
