-- One row a message.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    key TEXT,
    author TEXT NOT NULL,
    -- Its place among those of its author, from 1.
    sequence INTEGER,
    -- When it was written, as its author claims, and when it arrived: milliseconds since 1970.
    timestamp NUMERIC,
    received NUMERIC,
    type TEXT,
    -- The thread it belongs to, and the message at which it left another one.
    root TEXT,
    fork TEXT,
    -- 1: it was encrypted.
    private INTEGER NOT NULL,
    -- JSON; NULL where it is encrypted still.
    content TEXT
);

-- Every reference in the content of a message: rel says where it stands, as in 'root' or 'mentions.link'.
CREATE TABLE links (seq INTEGER NOT NULL, rel TEXT NOT NULL, dest TEXT NOT NULL);

-- Whom and what a message mentions, with the name that stands there.
CREATE TABLE mentions (seq INTEGER NOT NULL, link TEXT NOT NULL, name TEXT);

-- Files that a message refers to, with what it says of them.
CREATE TABLE blobs (seq INTEGER NOT NULL, blob TEXT NOT NULL, name TEXT, type TEXT, size INTEGER);

CREATE TABLE votes (seq INTEGER PRIMARY KEY, author TEXT NOT NULL, link TEXT NOT NULL, value NUMERIC, expression TEXT);

-- What somebody says of a feed or a message; NULL is what is not said.
CREATE TABLE abouts (
    seq INTEGER PRIMARY KEY,
    author TEXT NOT NULL,
    about TEXT NOT NULL,
    name TEXT,
    description TEXT,
    image TEXT
);

-- 1: follows, -1: blocks, 0: neither any more.
CREATE TABLE contacts (seq INTEGER PRIMARY KEY, author TEXT NOT NULL, contact TEXT NOT NULL, state INTEGER NOT NULL);

CREATE VIEW posts AS
    SELECT seq, key, author, timestamp, root, fork, private, content ->> '$.text' AS text
    FROM messages WHERE type = 'post' AND json_type(content, '$.text') = 'text';

-- The words of posts: SELECT p.* FROM search AS s JOIN posts AS p ON p.seq = s.rowid WHERE search MATCH 'river'.
CREATE VIRTUAL TABLE search USING fts5(text, content = 'posts', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2');

CREATE VIEW authors AS
    SELECT author, count(*) AS messages, max(sequence) AS sequence, min(timestamp) AS first, max(timestamp) AS last
    FROM messages GROUP BY author;

-- What branches off where.
CREATE VIEW branches AS SELECT seq, dest AS branch FROM links WHERE rel = 'branch';

-- How each stands to each now.
CREATE VIEW follows AS SELECT max(seq) AS seq, author, contact, state FROM contacts GROUP BY author, contact;

CREATE INDEX messages_by_key ON messages (key);
CREATE INDEX messages_by_author ON messages (author, sequence, timestamp);
CREATE INDEX messages_by_type ON messages (type, timestamp);
CREATE INDEX messages_by_time ON messages (timestamp);
CREATE INDEX messages_by_root ON messages (root) WHERE root IS NOT NULL;
CREATE INDEX links_by_dest ON links (dest, rel);
CREATE INDEX mentions_by_link ON mentions (link);
CREATE INDEX blobs_by_blob ON blobs (blob);
CREATE INDEX votes_by_link ON votes (link);
CREATE INDEX abouts_by_about ON abouts (about);
CREATE INDEX contacts_by_author ON contacts (author, contact);
CREATE INDEX contacts_by_contact ON contacts (contact);
