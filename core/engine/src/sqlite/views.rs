//! The views of a history file: what people ask it with `sqlite3`, in words and times that they can read. `docs/history.md`
//! describes them, and a test runs every question there. The engine itself asks none of them but `sized`.

use super::schema::STRIDE;

/// The views, to be created with the tables. They use nothing that SQLite 3.31 does not know, since people ask with what
/// their system has; but for `sized`, which is the engine's own.
pub(crate) fn views() -> String {
    VIEWS.replace("{stride}", &STRIDE.to_string())
}

const VIEWS: &str = "
CREATE VIEW events AS
SELECT
    c.name AS channel,
    e.at % {stride} AS offset,
    strftime('%Y-%m-%dT%H:%M:%S', e.time / 1000000000, 'unixepoch')
        || printf('.%06dZ', e.time / 1000 % 1000000) AS time,
    e.type AS type,
    e.source AS source,
    CASE e.severity WHEN 1 THEN 'debug' WHEN 2 THEN 'info' WHEN 3 THEN 'warning' WHEN 4 THEN 'error'
        WHEN 5 THEN 'critical' END AS severity,
    CASE e.evidence WHEN 1 THEN 'observed' WHEN 2 THEN 'inferred' WHEN 3 THEN 'polled' END AS evidence,
    e.key AS key,
    e.forgotten AS forgotten,
    e.attributes AS attributes,
    e.data AS data,
    (SELECT printf('%016x', p.epoch) FROM epoch p WHERE p.channel = c.id AND p.first <= e.at % {stride}
        ORDER BY p.number DESC LIMIT 1) AS epoch,
    lower(substr(hex(e.id), 1, 8) || '-' || substr(hex(e.id), 9, 4) || '-' || substr(hex(e.id), 13, 4) || '-'
        || substr(hex(e.id), 17, 4) || '-' || substr(hex(e.id), 21)) AS message_id,
    e.at AS at
FROM event e JOIN channel c
    ON c.id = e.at / {stride} AND e.at BETWEEN c.id * {stride} AND c.id * {stride} + {stride} - 1;

CREATE VIEW latest AS
SELECT * FROM events WHERE at IN (
    SELECT (SELECT max(at) FROM event WHERE at BETWEEN c.id * {stride} AND c.id * {stride} + {stride} - 1) FROM channel c
);

CREATE VIEW hourly AS
SELECT
    c.name AS channel,
    e.type AS type,
    strftime('%Y-%m-%dT%H:00:00Z', e.time / 1000000000, 'unixepoch') AS hour,
    count(*) AS events
FROM event e JOIN channel c ON c.id = e.at / {stride}
GROUP BY 1, 2, 3;

CREATE VIEW channels AS
SELECT
    name AS channel,
    first,
    last,
    CASE WHEN first IS NULL THEN 0 ELSE last - first + 1 - (
        SELECT ifnull(sum(h.last - h.first + 1), 0) FROM hole h
        WHERE h.channel = b.id AND h.first > b.first AND h.first <= b.last
    ) END AS events,
    (SELECT printf('%016x', p.epoch) FROM epoch p WHERE p.channel = b.id ORDER BY p.number DESC LIMIT 1) AS epoch
FROM (
    SELECT
        c.id AS id,
        c.name AS name,
        (SELECT min(at) % {stride} FROM event WHERE at BETWEEN c.id * {stride} AND c.id * {stride} + {stride} - 1) AS first,
        (SELECT max(at) % {stride} FROM event WHERE at BETWEEN c.id * {stride} AND c.id * {stride} + {stride} - 1) AS last
    FROM channel c
) b;

CREATE VIEW epochs AS
SELECT
    c.name AS channel,
    printf('%016x', p.epoch) AS epoch,
    p.first AS first,
    (SELECT n.first - 1 FROM epoch n WHERE n.channel = p.channel AND n.number = p.number + 1) AS last,
    strftime('%Y-%m-%dT%H:%M:%SZ', p.began / 1000000000, 'unixepoch') AS began
FROM epoch p JOIN channel c ON c.id = p.channel;

CREATE VIEW gaps AS
SELECT
    c.name AS channel,
    h.first AS first,
    h.last AS last,
    h.last - h.first + 1 AS missing,
    h.reason AS reason,
    strftime('%Y-%m-%dT%H:%M:%SZ', h.noticed / 1000000000, 'unixepoch') AS noticed
FROM hole h JOIN channel c ON c.id = h.channel;

CREATE VIEW snapshots AS
SELECT
    c.name AS channel,
    s.key AS key,
    s.at % {stride} AS offset,
    strftime('%Y-%m-%dT%H:%M:%S', s.time / 1000000000, 'unixepoch')
        || printf('.%06dZ', s.time / 1000 % 1000000) AS time,
    s.type AS type,
    s.source AS source,
    s.attributes AS attributes,
    s.data AS data
FROM snapshot s JOIN channel c ON c.id = s.channel;

CREATE VIEW sized AS
SELECT at, id, time, 48 + octet_length(data) + ifnull(octet_length(attributes), 0)
    + octet_length(type) + octet_length(source) + ifnull(octet_length(key), 0) AS bytes FROM event;
";
