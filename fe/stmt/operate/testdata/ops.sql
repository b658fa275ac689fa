showtable orders
showtable
showtable nowhere
showtablet
showns
showcatalogversion
confget
confget auto_failover
confget other
confset auto_failover maybe
confset other true
offlineendpoint 10.0.1.1:9050
changeleader orders 0
recovertable orders 0 10.0.1.1:9050
cancelop 1
confset auto_failover false
confget
ADMIN OFFLINE ENDPOINT '10.0.1.9:9050'
offlineendpoint 10.0.1.4:9050 9
offlineendpoint 10.0.1.4:9050 4
showopstatus
recoverendpoint 10.0.1.4:9050
recoverendpoint 10.0.1.1:9050
changeleader orders 0
changeleader orders 9
changeleader notes 0
changeleader orders 0 10.0.1.2:9050
changeleader orders 0 10.0.1.3:9050
changeleader orders 0 auto
ADMIN CHANGE LEADER shop.orders 0 TO '10.0.1.2:9050'
recovertable orders 0 10.0.1.3:9050
recovertable orders 0 10.0.1.1:9050
recovertable orders 0 10.0.1.4:9050
updatetablealive orders * 10.0.1.2:9050 no
updatetablealive notes 0 10.0.1.2:9050 yes
ADMIN SET REPLICA ALIVE orders PARTITION 1 ON '10.0.1.3:9050' YES
addreplica orders 0 10.0.1.4:9050
addreplica orders 3 10.0.1.2:9050
addreplica orders 3 10.0.1.3:9050
addreplica orders 0-9 10.0.1.3:9050
delreplica orders 0 10.0.1.1:9050
delreplica orders 0 10.0.1.4:9050
delreplica orders 0,2 10.0.1.3:9050
migrate 10.0.1.3:9050 orders 0 10.0.1.1:9050
migrate 10.0.1.1:9050 orders 0 10.0.1.3:9050
ADMIN MIGRATE REPLICA orders PARTITION 0 FROM '10.0.1.9:1' TO '10.0.1.3:9050'
makesnapshot orders 0
loadtable orders 10007 0 144000 8
loadtable other 10007 0 144000 8
gettablestatus 10007 0
gettablestatus 10007 77
cancelop 1
cancelop 10031
deleteop 10031
deleteop 10032
deleteop 99
deleteop canceled
deleteop done
SHOW OPSTATUS FROM orders 0
SHOW TRANSACTIONS
KILL TRANSACTION 10033
KILL TRANSACTION 10033
RECOVER DATA DRY RUN
RECOVER DATA DATABASE shop
recoverdata database nowhere
BALANCE VGROUP
REDISTRIBUTE VGROUP 10009 DNODE 10002
REDISTRIBUTE VGROUP 5 DNODE 10002
REDISTRIBUTE VGROUP 10009 DNODE 10002 DNODE 10003 DNODE 10005
REDISTRIBUTE VGROUP 10009 DNODE 10002 DNODE 10002 DNODE 10003
ADMIN DRAIN BACKEND '10.0.1.1:9050'
ADMIN DRAIN BACKEND '10.0.1.1:9050'
ADMIN UNDRAIN BACKEND '10.0.1.1:9050'
ADMIN SET LEADER WEIGHT 50 FOR BACKEND '10.0.1.1:9050'
ADMIN SET LEADER WEIGHT 5000 FOR BACKEND '10.0.1.1:9050'
ALTER DATABASE shop REPLICA 2
ALTER DATABASE shop REPLICA 2
ALTER DATABASE shop REPLICA 9
ALTER DATABASE shop REPLICA 0
ALTER DATABASE nowhere REPLICA 1
FLUSH DATABASE shop;
FLUSH DATABASE nope;
CLOSE VNODE 1 ON DNODE 10002;
SHOW JOBS FROM NAMESERVER;
SHOW JOBS FROM NAMESERVER LIKE '10033';
SPLIT VGROUP 10003;
MERGE VGROUP 1 2;
ASSIGN LEADER FORCE;
COMPACT DATABASE shop;
KILL COMPACT 1;
SHOW COMPACTS;
SHOW ARBGROUPS;
SHOW SNODES;
SHOW CLUSTER MACHINES;
showdb;
showsdkendpoint;
setsdkendpoint ns1 10.0.0.1:9527;
gettablepartition orders 0;
settablepartition orders 'orders.txt';
