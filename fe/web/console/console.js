// The page asks for system tables as JSON and draws them; it keeps nothing and changes nothing.
"use strict";

const every = 2000; // milliseconds between two looks
const at = id => document.getElementById(id);

// ask gets what the FE has at a path.
async function ask(path) {
  const answer = await fetch("../api/tables" + path), body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

// table reads a system table, its rows as objects by column.
async function table(name, limit) {
  const body = await ask("/" + name + "?limit=" + (limit || 1000));
  body.objects = body.rows.map(row => Object.fromEntries(row.map((v, i) => [body.columns[i].name, v])));
  return body;
}

function element(kind, text, style) {
  const e = document.createElement(kind);
  if (text !== undefined && text !== null) e.textContent = text;
  if (style) e.className = style;
  return e;
}

// draw shows rows in columns, each [title, what to show of a row]: a text, a number or an element.
function draw(id, rows, columns, empty) {
  const target = at(id);
  if (!rows.length) {
    target.replaceChildren(element("p", empty || "none", "dim"));
    return;
  }
  const out = element("table"), head = out.createTHead().insertRow(), body = out.createTBody();
  for (const [title, show] of columns) head.append(element("th", title, typeof show(rows[0]) === "number" ? "number" : ""));
  for (const row of rows) {
    const line = body.insertRow();
    for (const [, show] of columns) {
      const value = show(row), cell = line.insertCell();
      if (value instanceof Node) cell.append(value);
      else cell.textContent = value === null || value === undefined ? "" : value;
      if (typeof value === "number") cell.className = "number";
      else if (typeof value === "string" && value.length > 60) cell.className = "wide";
    }
  }
  target.replaceChildren(out);
}

const yes = v => String(v) === "true" || String(v) === "1";
const alive = v => element("span", yes(v) ? "alive" : "down", yes(v) ? "good" : "bad");
const state = (v, good) => element("span", v, good.includes(v) ? "good" : "bad");

function size(bytes) {
  let n = Number(bytes);
  for (const unit of ["B", "KB", "MB", "GB", "TB"]) {
    if (n < 1024 || unit === "TB") return (n < 10 && unit !== "B" ? n.toFixed(1) : Math.round(n)) + " " + unit;
    n /= 1024;
  }
}

function used(disk) {
  const bar = element("progress");
  bar.max = Number(disk.total_bytes) || 1;
  bar.value = bar.max - Number(disk.available_bytes);
  bar.title = size(disk.available_bytes) + " of " + size(disk.total_bytes) + " are free";
  return bar;
}

function tile(title, value, style) {
  const out = element("div", undefined, "tile " + (style || ""));
  out.append(element("b", value), element("span", title, "dim"));
  return out;
}

const sum = (rows, column) => rows.reduce((n, r) => n + Number(r[column] || 0), 0);

async function glance() {
  const names = ["cluster", "frontends", "backends", "disks", "databases", "clone_tasks", "unhealthy_tablets", "operations"];
  const tables = await Promise.all(names.map(n => table("stele/" + n)));
  const [cluster, frontends, backends, disks, databases, clones, unhealthy, operations] = tables.map(t => t.objects);
  if (cluster.length) at("cluster").textContent = cluster[0].name + " · " + cluster[0].version;
  const up = rows => rows.filter(r => yes(r.Alive)).length;
  const real = databases.filter(d => d.DbName !== "Total");
  const sick = sum(real, "UnhealthyTabletNum"), tablets = sum(real, "TabletNum");
  const down = new Set(backends.filter(r => !yes(r.Alive)).map(r => String(r.BackendId))); // what is known of their disks is of before
  const underWay = r => ["PENDING", "RUNNING"].includes(r.State), moving = clones.filter(underWay);
  const going = operations.filter(o => !["DONE", "FAILED", "CANCELLED"].includes(o.state));
  at("tiles").replaceChildren(
    tile("frontends alive", up(frontends) + " / " + frontends.length, up(frontends) < frontends.length ? "bad" : ""),
    tile("backends alive", up(backends) + " / " + backends.length, up(backends) < backends.length ? "bad" : ""),
    tile("tablets healthy", tablets - sick + " / " + tablets, sick ? "bad" : ""),
    tile("repairs and moves under way", moving.length, moving.length ? "busy" : ""),
    tile("operations under way", going.length, going.length ? "busy" : ""));
  draw("frontends", frontends, [["name", r => r.Name], ["role", r => r.Role], ["alive", r => alive(r.Alive)], ["MySQL", r => r.IP + ":" + r.QueryPort],
    ["journal", r => r.ReplayedJournalId], ["version", r => r.Version], ["since", r => r.StartTime], ["", r => r.ErrMsg]]);
  draw("backends", backends, [["id", r => r.BackendId], ["address", r => r.IP + ":" + r.BePort], ["alive", r => alive(r.Alive)], ["replicas", r => r.TabletNum],
    ["data", r => r.DataUsedCapacity], ["memory", r => r.MemUsedPct], ["CPU", r => r.CpuUsedPct], ["location", r => r.Location], ["since", r => r.LastStartTime],
    ["", r => [yes(r.SystemDecommissioned) ? "decommissioned" : "", r.SilentPeers ? "hears nothing of " + r.SilentPeers : "", r.ErrMsg].filter(Boolean).join("; ")]]);
  draw("disks", disks, [["backend", r => r.be_id], ["path", r => r.path], ["medium", r => r.medium], ["state", r => down.has(String(r.be_id)) ? element("span", "backend down", "bad") : state(r.state, ["ONLINE"])], ["used", used],
    ["data", r => size(r.data_used_bytes)], ["replicas", r => r.tablets], ["clone slots in use", r => r.clone_slots_used], ["", r => r.error]]);
  draw("databases", real, [["name", r => r.DbName], ["tables", r => r.TableNum], ["tablets", r => r.TabletNum], ["replicas", r => r.ReplicaNum],
    ["unhealthy", r => r.UnhealthyTabletNum], ["inconsistent", r => r.InconsistentTabletNum]], "no databases yet");
  tasks("clones", moving, "nothing is being cloned");
  tasks("cloned", clones.filter(r => !underWay(r)).slice(0, 10), "nothing has been cloned since this frontend leads");
  any("unhealthy", tables[6], "none: every tablet has all its replicas");
  draw("operations", operations.slice(-10).reverse(), [["id", r => r.id], ["kind", r => r.kind], ["target", r => r.target],
    ["state", r => element("span", r.state, r.state === "DONE" ? "good" : going.includes(r) ? "busy" : "bad")], ["done", r => Number(r.total) ? r.done + " / " + r.total : ""],
    ["started", r => r.started], ["ended", r => r.ended], ["", r => r.message]], "no operations yet");
}

// tasks shows tasks of the scheduler: what is done for which tablet, how far it is, and what it waits for or came to.
function tasks(id, rows, empty) {
  draw(id, rows, [["table", r => r.TableName ? r.DbName + "." + r.TableName : ""], ["tablet", r => r.TabletId], ["type", r => r.Type], ["because", r => r.Status],
    ["state", r => element("span", r.State, {FINISHED: "good", PENDING: "busy", RUNNING: "busy"}[r.State] || "bad")], ["priority", r => r.DynmPrio],
    ["from", r => Number(r.SrcBe) > 0 ? r.SrcBe : ""], ["to", r => Number(r.DestBe) > 0 ? r.DestBe : ""], ["copied", r => Number(r.BytesDone) ? size(r.BytesDone) : ""],
    ["done", r => r.Percent === null ? "" : Math.round(r.Percent) + " %"], ["since", r => r.Create], ["ended", r => r.Finished === "N/A" ? "" : r.Finished], ["", r => r.ErrMsg]], empty);
}

// any shows a table as it is.
function any(id, t, empty) {
  draw(id, t.rows, t.columns.map((c, i) => [c.name, row => row[i]]), empty);
  if (t.truncated) at(id).append(element("p", "There are more rows.", "dim"));
}

const comments = {}; // what the tables are

// list fills the choice of tables.
async function list() {
  const all = await ask(""), pick = at("pick");
  pick.replaceChildren(element("option", ""));
  for (const [schema, name, comment] of all.rows) {
    const key = schema + "/" + name;
    comments[key] = comment;
    const option = element("option", schema + "." + name);
    option.value = key;
    pick.append(option);
  }
}

async function picked() {
  const name = at("pick").value;
  at("about").textContent = comments[name] || "";
  if (!name) return at("picked").replaceChildren();
  try {
    any("picked", await table(name, 500), "no rows");
  } catch (e) {
    at("picked").replaceChildren(element("p", e.message, "bad"));
  }
}

// look draws everything again and again, one after the other.
async function look() {
  const said = at("state");
  try {
    if (at("pick").options.length < 2) await list();
    await glance();
    await picked();
    said.textContent = "as of " + new Date().toLocaleTimeString();
    said.className = "";
  } catch (e) {
    said.textContent = e.message;
    said.className = "bad";
  }
  setTimeout(look, every);
}

at("pick").addEventListener("change", picked);
look();
