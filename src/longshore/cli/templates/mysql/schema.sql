CREATE TABLE customers (
    id integer PRIMARY KEY AUTO_INCREMENT,
    name varchar(100) NOT NULL,
    city varchar(100) NOT NULL
) DEFAULT CHARACTER SET utf8mb4;

INSERT INTO customers (name, city) VALUES
    ('Ada Lovelace', 'London'),
    ('José Álvarez', 'Málaga'),
    ('李娜', '武漢');
