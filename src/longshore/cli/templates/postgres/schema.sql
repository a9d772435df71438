CREATE TABLE customers (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    city text NOT NULL,
    email text NOT NULL UNIQUE
);

INSERT INTO customers (name, city, email) VALUES
    ('Ada Lovelace', 'London', 'ada@engine.example'),
    ('José Álvarez', 'Málaga', 'jose@alvarez.example'),
    ('Nguyễn Thị Mai', 'Huế', 'mai@nguyen.example'),
    ('Søren Kjær', 'Ærøskøbing', 'soren@kjaer.example'),
    ('李娜', '武漢', 'lina@example.com');
